"""Items made ahead: the same ones, in order, not too many, with their error."""

import threading
from collections.abc import Iterator

import pytest

from streams.tools.demo.prefetch import PrefetchIterator


def test_items_and_their_order_are_kept() -> None:
    """However far ahead, the consumer sees what the iterator gave."""
    assert list(PrefetchIterator(iter(range(100)), 3)) == list(range(100))


def test_an_error_comes_after_the_items_before_it() -> None:
    """A catalog that breaks is said so, where it breaks."""

    def breaking() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = iter(PrefetchIterator(breaking(), 5))
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_no_more_than_the_size_is_made_ahead_and_close_ends_it() -> None:
    """Memory is bounded, and nobody hangs on a consumer that left."""
    made: list[int] = []
    enough = threading.Event()

    def counting() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            if number == 5:
                enough.set()
            yield number

    ahead = PrefetchIterator(counting(), 5)
    assert enough.wait(10)
    ahead.close()
    assert len(made) <= 7
