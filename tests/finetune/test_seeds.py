"""The streams are pinned, and each depends on what it should and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from finetune.seeds import DropoutBits, data_order, head_weights, subset, threshold

seeds = st.integers(0, 2**32 - 1)

PINNED_ORDER = [4, 7, 3, 0, 6, 2, 1, 5]
PINNED_HEAD = [
    [float.fromhex(w) for w in row]
    for row in [
        ["-0x1.2ccd5a0000000p-9", "-0x1.e85c5e0000000p-9"],
        ["0x1.5cece40000000p-8", "-0x1.0bb7640000000p-5"],
    ]
]
PINNED_SUBSET = [1, 6, 7, 9]
PINNED_KEPT = [0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1]


def test_the_streams_are_what_they_were_when_this_was_written() -> None:
    np.testing.assert_array_equal(data_order(1, 0, 8), PINNED_ORDER)
    np.testing.assert_array_equal(head_weights(12, 0, (2, 2)), PINNED_HEAD)
    np.testing.assert_array_equal(subset(10, 4), PINNED_SUBSET)
    np.testing.assert_array_equal(DropoutBits(3, 1).kept(12, 0.5).astype(int), PINNED_KEPT)


@given(seed=seeds, epoch=st.integers(0, 50), examples=st.integers(0, 300))
def test_a_data_order_is_a_permutation(seed: int, epoch: int, examples: int) -> None:
    assert sorted(data_order(seed, epoch, examples)) == list(range(examples))


@given(seed=seeds, epoch=st.integers(0, 50))
def test_another_seed_or_another_epoch_is_another_order(seed: int, epoch: int) -> None:
    order = data_order(seed, epoch, 50)
    assert not np.array_equal(order, data_order(seed + 1, epoch, 50))
    assert not np.array_equal(order, data_order(seed, epoch + 1, 50))


def test_every_example_is_as_likely_in_every_place() -> None:
    places = np.array([data_order(seed, 0, 6) for seed in range(6000)])
    counts = np.array([np.bincount(places[:, place], minlength=6) for place in range(6)])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


@given(seed=seeds, index=st.integers(0, 5))
def test_the_same_seed_gives_the_same_head_whatever_the_task(seed: int, index: int) -> None:
    np.testing.assert_array_equal(
        head_weights(seed, index, (2, 16)), head_weights(seed, index, (2, 16))
    )
    assert not np.array_equal(
        head_weights(seed, index, (2, 16)), head_weights(seed + 1, index, (2, 16))
    )
    assert not np.array_equal(
        head_weights(seed, index, (2, 16)), head_weights(seed, index + 1, (2, 16))
    )


def test_a_head_is_normal_with_deviation_0_02() -> None:
    weights = head_weights(7, 0, (2, 50_000)).ravel().astype(float)
    assert stats.kstest(weights, stats.norm(0, 0.02).cdf).pvalue > 1e-3


def test_the_streams_do_not_depend_on_the_global_generators() -> None:
    np.random.seed(1)  # noqa: NPY002 — the global generator is the point
    before = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    first = data_order(1, 0, 20)
    head_weights(1, 0, (2, 4))
    DropoutBits(1, 1).kept(10, 0.1)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index] # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, data_order(1, 0, 20))


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9])
def test_dropout_drops_with_its_probability(probability: float) -> None:
    n = 200_000
    dropped = int((~DropoutBits(5, 9).kept(n, probability)).sum())
    expected = int(threshold(probability)) / 2**16
    assert abs(expected - probability) <= 2**-17
    assert stats.binomtest(dropped, n, expected).pvalue > 1e-3 if probability else dropped == 0


def test_masks_of_one_step_follow_one_another_and_another_step_has_others() -> None:
    bits = DropoutBits(5, 9)
    first, second = bits.kept(1000, 0.5), bits.kept(1000, 0.5)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, DropoutBits(5, 9).kept(1000, 0.5))
    assert not np.array_equal(first, DropoutBits(5, 10).kept(1000, 0.5))
    assert not np.array_equal(first, DropoutBits(6, 9).kept(1000, 0.5))


@given(examples=st.integers(1, 200), size=st.integers(1, 200))
def test_a_subset_holds_so_many_different_examples_in_their_order(examples: int, size: int) -> None:
    chosen = subset(examples, size)
    assert len(chosen) == min(size, examples)
    assert np.all(np.diff(chosen) > 0)
    assert chosen[0] >= 0
    assert chosen[-1] < examples
