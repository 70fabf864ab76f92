"""Drawing: from what a question computed to a matplotlib figure, and nothing else.

Each `draw_…` takes a record of the module of the same name and returns a figure in the house style;
`svg` and `png` turn it into a file's content, the same bytes each time.
"""

from analysis.figures.expected_performance import draw_expected_performance
from analysis.figures.seed_grid import draw_seed_grid
from analysis.figures.style import png, svg
from analysis.figures.training_curves import draw_training_curves

__all__ = ["draw_expected_performance", "draw_seed_grid", "draw_training_curves", "png", "svg"]
