"""The random choices are the same everywhere, and fair."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import PCG64, SeedSequence
from scipy.stats import chisquare

from finetune.embedded.dice import Dice


def test_the_choices_of_a_key_are_pinned() -> None:
    dice = Dice("known", 1)

    assert [dice.below(1000) for _ in range(8)] == [621, 268, 598, 782, 109, 853, 508, 323]
    assert Dice("known", 2).below(2**62) != Dice("known", 1).below(2**62)


def test_the_choices_are_made_from_the_raw_bits_of_the_key() -> None:
    seed = int.from_bytes(hashlib.sha256(b"('known', 1)").digest(), "big")
    raw = PCG64(SeedSequence(seed)).random_raw(4096).tolist()
    dice = Dice("known", 1)

    assert [dice.below(1000) for _ in range(4096)] == [(bits * 1000) >> 64 for bits in raw[::-1]]


@given(bound=st.integers(1, 10**6), key=st.text())
def test_a_choice_lies_below_its_bound(bound: int, key: str) -> None:
    assert 0 <= Dice(key).below(bound) < bound


def test_each_item_is_equally_likely() -> None:
    dice = Dice("fair")
    counts = np.zeros(7)
    for _ in range(14_000):
        counts[dice.choice(range(7))] += 1

    assert chisquare(counts).pvalue > 1e-4


def test_a_chance_is_met_as_often_as_it_says() -> None:
    dice = Dice("chance")
    wins = sum(dice.chance(3, 20) for _ in range(20_000))

    assert abs(wins - 3000) < 4 * (20_000 * 0.15 * 0.85) ** 0.5


def test_every_order_is_equally_likely() -> None:
    dice = Dice("orders")
    orders = [tuple(dice.permutation(4)) for _ in range(24_000)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]

    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-4
