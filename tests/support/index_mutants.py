"""Bugs to plant: each makes one thing wrong that the checks of the index must notice."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from visualsearch.index.codes import NO_LISTS
from visualsearch.index.find import Finder
from visualsearch.index.live import LiveIndex
from visualsearch.index.merge import Merge
from visualsearch.index.upkeep import MARKED, Upkeep
from visualsearch.index.view import View

Plant = Callable[[pytest.MonkeyPatch], None]
NOTHING = np.empty(0, dtype=np.int32)


def swap_forgets_the_dead(patch: pytest.MonkeyPatch) -> None:
    """Publish the merged graph, but do not mark in it what died while it was built."""
    real = Upkeep._publish_graph

    def publish(self: Upkeep, merge: Merge) -> None:
        before = list(self._index.to_mark)
        real(self, merge)
        held = set(merge.result.rows.tolist())
        self._index.to_mark = [r for r in self._index.to_mark if r not in held or r in before]

    patch.setattr(Upkeep, "_publish_graph", publish)


def swap_keeps_the_old(patch: pytest.MonkeyPatch) -> None:
    """Publish the merged graph beside those that it should replace."""
    real = Upkeep._publish_graph

    def publish(self: Upkeep, merge: Merge) -> None:
        former = self._index.built.segments
        real(self, merge)
        self._index.built.segments = (*former, merge.result)

    patch.setattr(Upkeep, "_publish_graph", publish)


def swap_drops_rows(patch: pytest.MonkeyPatch) -> None:
    """Leave every third row out of the merged graph."""

    def step(self: Merge, count: int) -> None:
        rows = self.rows[self._done : self._done + count].astype(np.int64)
        self._done += count
        rows = rows[self._storage.alive[rows] & (rows % 3 > 0)]
        if len(rows):
            self.result.add(rows, self._storage.unit(rows), 1)

    patch.setattr(Merge, "step", step)


def view_shows_the_dead(patch: pytest.MonkeyPatch) -> None:
    """Make a view's mask without the live mask."""
    real = LiveIndex.view

    def view(self: LiveIndex, *args: object) -> View:
        live = self.rows.live
        self.rows.live = np.ones_like(live)
        try:
            return real(self, *args)
        finally:
            self.rows.live = live

    patch.setattr(LiveIndex, "view", view)


def walk_skips_fresh_rows(patch: pytest.MonkeyPatch) -> None:
    """Let a walk of the graphs pass by the rows that no graph holds."""
    real = Finder.walk

    def walk(self: Finder, view: View, *args: object) -> object:
        return real(self, replace(view, fresh=NOTHING, building=NOTHING), *args)

    patch.setattr(Finder, "walk", walk)


def lists_skip_uncoded_rows(patch: pytest.MonkeyPatch) -> None:
    """Let a look through the lists pass by the rows that are on none."""
    real = Finder.listed

    def listed(self: Finder, view: View, *args: object) -> object:
        return real(self, replace(view, uncoded=NOTHING, near=NO_LISTS), *args)

    patch.setattr(Finder, "listed", listed)


def rows_are_free_too_soon(patch: pytest.MonkeyPatch) -> None:
    """Let a dead row go although a graph still holds it."""
    real = Upkeep._mark

    def mark(self: Upkeep) -> int:
        marks = self._index.to_mark[:MARKED]
        left = real(self)
        with self._lock():
            self._index.rows.free(marks)
        return left

    patch.setattr(Upkeep, "_mark", mark)


MUTANTS: tuple[Plant, ...] = (
    swap_forgets_the_dead,
    swap_keeps_the_old,
    swap_drops_rows,
    view_shows_the_dead,
    walk_skips_fresh_rows,
    lists_skip_uncoded_rows,
    rows_are_free_too_soon,
)
