"""Shards: each trial is in exactly one, whatever was done before."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.errors import SeedbedError
from finetune.shard import Shard


@given(st.integers(0, 200), st.integers(1, 40))
def test_each_trial_is_in_exactly_one_shard_and_they_are_of_one_size(
    trials: int, count: int
) -> None:
    shards = [Shard(number, count).of(range(trials)) for number in range(1, count + 1)]
    assert sorted(trial for shard in shards for trial in shard) == list(range(trials))
    sizes = {len(shard) for shard in shards}
    assert max(sizes) - min(sizes) <= 1


def test_each_shard_has_its_share_of_every_task() -> None:
    planned = [(task, trial) for task in ("mrpc", "sst2") for trial in range(32)]
    for number in range(1, 17):
        tasks = Counter(task for task, _ in Shard(number, 16).of(planned))
        assert tasks == {"mrpc": 2, "sst2": 2}


def test_a_shard_reads_as_it_is_written() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard.parse(" 3 / 16 ")) == "3/16"


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3/0", "a/b", "3/16/2", "-1/4"])
def test_what_is_no_shard_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SeedbedError, match=r"write it as 3/16"):
        Shard.parse(text)
