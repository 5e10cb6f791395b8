"""Callbacks of the engine, called on the thread that causes the event."""

from collections.abc import Callable
from dataclasses import dataclass

from visualsearch.index.probe import Probed


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that the engine calls; by default they do nothing."""

    on_indexed: Callable[[int], object] = (
        _ignore  # number of rows that the background writer processed
    )
    on_error: Callable[[Exception], object] = _ignore  # the background writer failed; it continues
    on_swapped: Callable[[], object] = _ignore  # a rebuilt graph replaced older ones
    on_freed: Callable[[], object] = _ignore  # much memory was freed
    on_recall: Callable[[Probed], object] = _ignore  # the recall of one search was measured
