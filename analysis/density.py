"""Where do the values lie? Kernel density estimates, as in Fig. 3 and Fig. 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_POINTS: Final = 256
_TAILS: Final = 3
"""How many widths the curve goes on beyond the extremes, as in the paper's figures."""

_QUARTILES_APART: Final = float(np.diff(stats.norm.ppf([0.25, 0.75]))[0])
"""Of a normal distribution, in standard deviations: 1.349."""


@dataclass(frozen=True, eq=False)
class Density:
    """An estimated density; it has no uncertainty of its own to show.

    Attributes:
        at: float64[G], ascending, in the unit of the values.
        density: float64[G], per unit of the values.
        width: standard deviation of the Gaussian laid around each value.
        values: float64[n], what it was estimated from, ascending.
    """

    at: NDArray[np.float64]
    density: NDArray[np.float64]
    width: float
    values: NDArray[np.float64]


def compute(values: ArrayLike, *, lowest: float = -np.inf) -> Density | None:
    """Return the density of some values, of the width that `width_of` gives.

    Args:
        values: float[n], finite.
        lowest: what no value can be below: the curve is cut there, and not made higher for it.

    Returns:
        The density; None where all values are equal or there is but one, for which there is no
        width.

    Raises:
        ValueError: where a value is not finite.
    """
    (found,) = compute_alike([values], lowest=lowest)
    return found


def compute_alike(groups: Sequence[ArrayLike], *, lowest: float = -np.inf) -> list[Density | None]:
    """Return the densities of several groups, all of one width so that they can be compared.

    It is the geometric mean of the groups' own widths: a group of two modes has a large one, that
    smooths its modes into each other. (The paper's Fig. 3 has one width for each task, chosen by
    hand: about 0.01 for MRPC, 0.03 for RTE and CoLA, 0.002 for SST, as read from its curves.)

    Args:
        groups: of finite values, one or more each.
        lowest: as for `compute`.

    Returns:
        For each its density; None for all where none has a width.

    Raises:
        ValueError: where a value is not finite.
    """
    known = [np.sort(np.asarray(values, dtype=np.float64).ravel()) for values in groups]
    if not all(np.isfinite(values).all() for values in known):
        raise ValueError("a density is of finite values")
    widths = [width for width in map(width_of, known) if width > 0]
    if not widths:
        return [None] * len(known)
    width = float(np.exp(np.mean(np.log(widths))))
    return [_density(values, width, lowest) for values in known]


def width_of(values: NDArray[np.float64]) -> float:
    """Return the width of the Gaussians to lay around some values.

    1.059 n^(−1/5) times the smaller of the standard deviation (n − 1) and of the distance of the
    quartiles in units of a normal distribution's: Scott's rule as statsmodels has it, which gives
    the curves of the paper's Fig. 8.

    Args:
        values: float64[n], finite.

    Returns:
        The width, in the unit of the values; 0 where all values are equal or there is but one.
    """
    if values.size < 2 or np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return 0.0
    deviation = float(values.std(ddof=1))
    quartiles = float(np.subtract(*np.percentile(values, [75, 25]))) / _QUARTILES_APART
    # Where half of the values are one and the same, their quartiles say nothing of the rest.
    spread = min(deviation, quartiles) if quartiles > 0 else deviation
    return float(1.059 * spread * values.size ** (-1 / 5))


def _density(values: NDArray[np.float64], width: float, lowest: float) -> Density:
    begin = max(values[0] - _TAILS * width, lowest)
    at = np.linspace(begin, values[-1] + _TAILS * width, _POINTS)
    heights = stats.norm.pdf(at[:, None], loc=values, scale=width).mean(axis=1)
    return Density(at, heights, width, values)
