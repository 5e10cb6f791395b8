"""Callbacks of the engine, called in the thread of the event."""

from collections.abc import Callable
from dataclasses import dataclass

from visualsearch.index.probe import Probed


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that the engine calls; by default they do nothing."""

    on_indexed: Callable[[int], object] = _ignore  # rows that the background writer dealt with
    on_error: Callable[[Exception], object] = _ignore  # it failed and goes on
    on_swapped: Callable[[], object] = _ignore  # a rebuilt graph has replaced others
    on_freed: Callable[[], object] = _ignore  # much memory was let go of, by it or by others
    on_recall: Callable[[Probed], object] = _ignore  # a query was answered again exactly
