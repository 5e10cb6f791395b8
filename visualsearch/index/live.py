"""The live index by product slot: rows, the graphs over the older ones, fresh rows scanned.

Whoever changes it or takes a `View` holds the engine's lock. `find` works on a view without it,
and `index_rows` moves fresh rows into the graphs, holding the lock only at its two ends.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray
from visualsearch.index.graph import Graph, Segment
from visualsearch.index.planner import Choice, Costs, Situation, Tuning, choose
from visualsearch.index.rows import Rows
from visualsearch.search.group import Candidate, exact_scores, near_best
from visualsearch.types import FloatArray, ImageKind, Plan


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The matching rows of one moment; rows are never moved, so it stays true of that moment."""

    mask: BoolArray  # shape (count,): the row is live and satisfies the filters
    slot: CodeArray  # shape (>= count,)
    count: int
    indexed: int  # rows below it are in the graphs, the others are fresh
    segments: tuple[Segment, ...]
    matches: int  # products
    matching_rows: int
    live_rows: int


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates in no order, all of the wanted products among them, and how they were found.

    `settled` is false if the pictures of one of them changed during the search; rows from
    `count` on are younger than the search's view.
    """

    candidates: tuple[Candidate, ...]
    plan: Plan
    settled: bool
    count: int


class LiveIndex:
    """Pictures of products by slot; slots are small integers that the engine gives out."""

    def __init__(self, rows: Rows, graph: Graph, tuning: Tuning, costs: Costs) -> None:
        self._rows = rows
        self._graph = graph
        self._tuning = tuning
        self._costs = costs
        self._rows_of: list[tuple[int, ...]] = []
        self._indexed = 0
        self._to_mark: list[int] = []
        self.live_rows = 0
        self.live_products = 0

    def rows_of(self, slot: int) -> tuple[int, ...]:
        """Return the slot's current rows, in the order of its images."""
        return self._rows_of[slot] if slot < len(self._rows_of) else ()

    def vectors(self, slot: int) -> FloatArray:
        """Return copies of the slot's current vectors, of shape (n, dim)."""
        return self._rows.gather(np.array(self.rows_of(slot), dtype=np.int64))

    def replace(self, slot: int, vectors: FloatArray, kinds: Sequence[ImageKind]) -> None:
        """Give the slot these unit rows in place of its former ones; it is not live afterwards.

        A picture that was there before keeps its row: most updates of a product bring the
        pictures that it had, and these must cost the graphs nothing.
        """
        self.set_live(slot, live=False)
        self._rows_of.extend(() for _ in range(len(self._rows_of), slot + 1))
        kept = {self._key(row): row for row in self._rows_of[slot]}
        dead = set(self._rows_of[slot])
        scenes = [kind == "lifestyle" for kind in kinds]
        rows = [
            kept.pop((v.tobytes(), scene), -1) for v, scene in zip(vectors, scenes, strict=True)
        ]
        new = [n for n, row in enumerate(rows) if row < 0]
        added = self._rows.append(vectors[new], slot, [scenes[n] for n in new])
        for n, row in zip(new, added, strict=True):
            rows[n] = row
        self._rows_of[slot] = tuple(rows)
        dead -= set(rows)
        self._rows.alive[list(dead)] = False
        self._to_mark.extend(row for row in dead if row < self._indexed)

    def _key(self, row: int) -> tuple[bytes, bool]:
        """Return what makes two pictures the same to a search."""
        return self._rows.gather(np.array([row])).tobytes(), bool(self._rows.lifestyle[row])

    def set_live(self, slot: int, *, live: bool) -> None:
        """Let searches find the slot's rows, or not."""
        rows = list(self.rows_of(slot))
        if rows and self._rows.live[rows[0]] != live:
            self._rows.live[rows] = live
            self.live_rows += len(rows) if live else -len(rows)
            self.live_products += 1 if live else -1

    def view(self, products: BoolArray | None, kind: ImageKind | None) -> View:
        """Return the live rows of the given products (None: all) and of the given kind."""
        count = self._rows.count
        slot = self._rows.slot
        mask = self._rows.live[:count].copy()
        if products is not None:
            mask &= products[slot[:count]]
        if kind is not None:
            mask &= self._rows.lifestyle[:count] == (kind == "lifestyle")
        unfiltered = products is None and kind is None
        return View(
            mask=mask,
            slot=slot,
            count=count,
            indexed=self._indexed,
            segments=self._graph.segments,
            matches=self.live_products if unfiltered else _distinct(slot[:count][mask]),
            matching_rows=self.live_rows if unfiltered else int(np.count_nonzero(mask)),
            live_rows=self.live_rows,
        )

    def find(self, view: View, vector: FloatArray, top_k: int) -> Found:
        """Return at least `min(top_k, matches)` products of the view, the best among them."""
        choice = self._choose(view, top_k)
        wanted = min(top_k, view.matches)
        visited = 0
        for ef in choice.beams:
            rows, scores, scored = self._walk(view, vector, ef)
            visited += scored
            slots = near_best(view.slot[rows].astype(np.int64), scores, wanted)
            if len(slots) >= wanted:
                return self._found(view, vector, slots, _plan("graph", view, visited, ef))
        if choice.strategy == "empty":
            return Found((), _plan("empty", view, 0, None), settled=True, count=view.count)
        rows, scores = self._rows.scan(vector, view.mask, 0, view.count)
        slots = near_best(view.slot[rows].astype(np.int64), scores, wanted)
        return self._found(view, vector, slots, _plan("exact", view, visited + len(rows), None))

    def index_rows(self, batch: int, lock: Callable[[], AbstractContextManager[object]]) -> int:
        """Move up to `batch` fresh rows into the graphs; return how many rows were dealt with.

        For one thread at a time. Rows superseded meanwhile are marked by a later call, so that
        the graphs have a single writer.
        """
        with lock():
            start, stop = self._indexed, min(self._rows.count, self._indexed + batch)
            rows = start + np.flatnonzero(self._rows.alive[start:stop])
            marks, self._to_mark = self._to_mark, []
        for row in marks:
            self._graph.mark(row)
        if len(rows):
            self._graph.add(rows, self._rows.gather(rows))
        with lock():
            self._indexed = stop
            self._to_mark.extend(rows[~self._rows.alive[rows]].tolist())
        return stop - start + len(marks)

    @property
    def pending(self) -> bool:
        """Return whether `index_rows` has something to do."""
        return self._indexed < self._rows.count or bool(self._to_mark)

    @property
    def fresh_rows(self) -> int:
        """Return how many rows in use no graph holds yet."""
        return int(np.count_nonzero(self._rows.alive[self._indexed : self._rows.count]))

    @property
    def dead_ratio(self) -> float:
        """Return the share of the graphs' rows that no search wants any more."""
        dead = self._graph.marked + len(self._to_mark)
        return dead / self._graph.rows if self._graph.rows else 0.0

    @property
    def segments(self) -> int:
        """Return the number of graphs."""
        return len(self._graph.segments)

    @property
    def row_count(self) -> int:
        """Return the number of rows stored, superseded ones included."""
        return self._rows.count

    def _choose(self, view: View, top_k: int) -> Choice:
        situation = Situation(
            top_k=top_k,
            matches=view.matches,
            matching_rows=view.matching_rows,
            live_rows=view.live_rows,
            graph_rows=sum(segment.added - segment.marked for segment in view.segments),
            fresh_rows=view.count - view.indexed,
            segments=len(view.segments),
        )
        return choose(situation, self._tuning, self._costs)

    def _walk(self, view: View, vector: FloatArray, ef: int) -> tuple[IntArray, FloatArray, int]:
        """Return matching rows near the vector: from every graph, and all the fresh ones.

        The third value is the number of rows looked at, those that do not match included.
        """
        parts = [self._rows.scan(vector, view.mask, view.indexed, view.count)]
        scored = len(parts[0][0])
        for segment in view.segments:
            found = segment.search(vector, ef)
            if found is None:
                stop = min(segment.last + 1, view.indexed)
                parts.append(self._rows.scan(vector, view.mask, segment.first, stop))
                scored += len(parts[-1][0])
                continue
            rows, scores = found
            scored += len(rows)
            known = rows < view.indexed  # rows in the act of being added were scanned above
            rows, scores = rows[known], scores[known]
            kept = view.mask[rows]
            parts.append((rows[kept], scores[kept]))
        rows, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        return rows, scores, scored

    def _found(self, view: View, vector: FloatArray, slots: IntArray, plan: Plan) -> Found:
        """Score every matching row of the products exactly, and keep each one's best."""
        current = [row for slot in slots for row in self.rows_of(slot)]
        known = [row for row in current if row < view.count]
        rows = np.array([row for row in known if view.mask[row]], dtype=np.int64)
        scores = exact_scores(self._rows.gather(rows), vector)
        top: dict[int, Candidate] = {}
        for row, slot, score in zip(
            rows.tolist(), view.slot[rows].tolist(), scores.tolist(), strict=True
        ):
            if slot not in top or score > top[slot].score:
                top[slot] = Candidate(slot, row, score)
        settled = len(known) == len(current) and len(top) == len(slots)
        return Found(tuple(top.values()), plan, settled, view.count)


def _distinct(slots: CodeArray) -> int:
    """Return the number of different slots."""
    seen = np.zeros(int(slots.max()) + 1 if len(slots) else 0, dtype=np.bool_)
    seen[slots] = True
    return int(np.count_nonzero(seen))


def _plan(
    strategy: Literal["exact", "graph", "empty"], view: View, visited: int, ef: int | None
) -> Plan:
    share = view.matching_rows / view.live_rows if view.live_rows else 0.0
    return Plan(strategy, share, view.matches, visited, ef)
