"""Getting items ahead changes when they are got, and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.ahead import ahead


@given(items=st.lists(st.integers() | st.none()), count=st.integers(1, 5))
def test_all_items_come_in_their_order(items: list[int | None], count: int) -> None:
    assert list(ahead(items, count)) == items


def test_an_error_comes_where_it_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    got = ahead(items(), 3)

    assert [next(got), next(got)] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(got)


def test_no_more_are_got_than_the_count_and_the_one_in_hand() -> None:
    got = []

    def items() -> Iterator[int]:
        for number in range(100):
            got.append(number)
            yield number

    with closing(ahead(items(), 3)) as iterator:
        for _ in range(5):
            next(iterator)
            assert len(got) <= 5 + 3 + 1


def test_when_it_is_closed_the_thread_has_ended() -> None:
    before = threading.active_count()

    def items() -> Iterator[int]:
        yield from range(1_000)

    with closing(ahead(items(), 2)) as iterator:
        next(iterator)

    assert threading.active_count() == before
