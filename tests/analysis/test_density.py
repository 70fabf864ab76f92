"""A density is a Gaussian around each value, of the width that the paper's Fig. 8 has."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import gaussian_kde

from analysis import density, variance
from analysis.reference import published_scores

VALUES = np.array([0.2, 0.25, 0.21, 0.8, 0.7])


def test_it_is_scipys_of_the_same_width() -> None:
    found = density.compute(VALUES)
    assert found is not None
    scipys = gaussian_kde(VALUES, bw_method=found.width / VALUES.std(ddof=1))
    assert_allclose(found.density, scipys(found.at), rtol=1e-9)
    assert found.values.tolist() == sorted(VALUES)


def test_all_of_it_is_on_the_curve() -> None:
    found = density.compute(VALUES)
    assert found is not None
    assert np.trapezoid(found.density, found.at) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    ("task", "given_do", "given_wi"),
    [("mrpc", 100, 96), ("rte", 51, 78), ("cola", 10.4, 14.2), ("sst2", 710, 1200)],
)
def test_the_peaks_of_fig_8_are_the_papers(task: str, given_do: float, given_wi: float) -> None:
    # As read off the printed figure, to a few percent.
    deviation = variance.compute(published_scores(task))
    for given, peak in ((deviation.given_do, given_do), (deviation.given_wi, given_wi)):
        assert given.density is not None
        assert given.density.density.max() == pytest.approx(peak, rel=0.03)


def test_the_width_is_that_of_the_smaller_spread() -> None:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(100_000)
    assert density.width_of(normal) == pytest.approx(1.059 / 10, rel=0.01)
    # Two far outliers stretch the standard deviation and not the quartiles.
    stretched = np.append(normal[:1_000], [90.0, -90.0])
    assert density.width_of(stretched) == pytest.approx(1.059 * 1_000 ** (-0.2), rel=0.1)


def test_values_half_of_which_are_one_still_have_a_width() -> None:
    values = np.array([0.5, 0.5, 0.5, 0.5, 0.9])
    assert density.width_of(values) == pytest.approx(1.059 * values.std(ddof=1) * 5 ** (-0.2))


def test_where_no_value_can_be_the_curve_is_cut_and_not_made_higher() -> None:
    whole, cut = density.compute(VALUES), density.compute(VALUES, lowest=0.0)
    assert whole is not None
    assert cut is not None
    assert whole.at[0] < 0 == cut.at[0]
    assert cut.at[-1] == whole.at[-1]
    assert_allclose(cut.density, np.interp(cut.at, whole.at, whole.density), rtol=2e-3)


def test_densities_to_be_compared_have_one_width() -> None:
    one, other, flat = density.compute_alike([VALUES, VALUES * 100, [0.5, 0.5]])
    assert one is not None
    assert other is not None
    assert flat is not None
    assert one.width == other.width == flat.width
    assert one.width == pytest.approx(10 * density.width_of(VALUES))
    assert flat.at[flat.density.argmax()] == pytest.approx(0.5, abs=one.width / 20)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.1 + 0.2, 0.3]])
def test_values_that_are_all_one_have_none(values: list[float]) -> None:
    assert density.compute(values) is None


def test_it_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        density.compute([0.1, np.nan])
