"""Drawing: from what a question computed to a matplotlib figure, and nothing else.

Each `draw_…` takes a record of the module of the same name and returns a figure in the house style;
`svg`, `png` and `pdf` turn it into a file's content, the same bytes each time.
"""

from analysis.figures.best_seed import draw_best_seed
from analysis.figures.comparison import draw_comparison
from analysis.figures.correlation import draw_correlation
from analysis.figures.curve_uncertainty import draw_curve_uncertainty
from analysis.figures.densities import draw_best_and_worst, draw_deviations
from analysis.figures.divergence import draw_divergence
from analysis.figures.early_stopping import draw_best_settings, draw_error_reduction
from analysis.figures.expected_performance import draw_expected_performance
from analysis.figures.seed_grid import draw_seed_grid
from analysis.figures.seed_ranks import draw_seed_ranks
from analysis.figures.stopping_rules import draw_stopping_rules
from analysis.figures.style import pdf, png, svg
from analysis.figures.training_curves import draw_training_curves
from analysis.figures.variance_components import draw_variance_components
from analysis.figures.winners_curse import draw_winners_curse

__all__ = [
    "draw_best_and_worst",
    "draw_best_seed",
    "draw_best_settings",
    "draw_comparison",
    "draw_correlation",
    "draw_curve_uncertainty",
    "draw_deviations",
    "draw_divergence",
    "draw_error_reduction",
    "draw_expected_performance",
    "draw_seed_grid",
    "draw_seed_ranks",
    "draw_stopping_rules",
    "draw_training_curves",
    "draw_variance_components",
    "draw_winners_curse",
    "pdf",
    "png",
    "svg",
]
