"""The live index by product slot: rows, what graphs and lists hold of them, and views of it all.

Whoever changes it or takes a `View` holds the engine's lock; `visualsearch.index.find` searches a
view without it, and `visualsearch.index.upkeep` builds graphs and lists, and publishes them here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, RowQueue, grown
from visualsearch.index.curve import Curves
from visualsearch.index.graph import Segment
from visualsearch.index.lists import NO_LIST, ListArray, Piece
from visualsearch.index.rows import NO_ROW, Rows, Vectors
from visualsearch.types import FloatArray, ImageKind

NO_GRAPH = -1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The matching rows of one moment, and what was there to find them with.

    A row keeps its vector as long as it is alive, so a view stays true of its moment, but for
    products that change during the search: `LiveIndex.changed_since` names those.
    """

    version: int
    mask: BoolArray  # shape (count,): the row is live and satisfies the filters
    slot: CodeArray
    next: CodeArray
    first: CodeArray
    list_of: ListArray
    list_sizes: IntArray  # live rows of each list, when the newest piece was made
    segments: tuple[Segment, ...]
    pieces: tuple[Piece, ...]
    building: CodeArray  # rows on their way into a graph, and
    fresh: CodeArray  # rows that wait for it: no graph holds either
    uncoded: CodeArray  # rows that no list holds
    matches: int  # products
    matching_rows: int
    live_rows: int
    curves: Curves

    def rows_of(self, slots: IntArray) -> tuple[IntArray, IntArray]:
        """Return the matching rows of these products, ascending, and their images' places."""
        every: list[IntArray] = []
        rows = self.first[slots].astype(np.int64)
        while len(rows := rows[rows >= 0]):
            every.append(rows)
            rows = self.next[rows].astype(np.int64)
        found = np.concatenate(every) if every else rows
        places = np.repeat(np.arange(len(every)), [len(rows) for rows in every])
        kept = found < len(self.mask)  # others are younger than the view
        kept[kept] = self.mask[found[kept]]
        found, places = found[kept], places[kept]
        order = np.argsort(found)
        return found[order], places[order]


@dataclass(slots=True, eq=False)
class Built:
    """What upkeep has built: immutable parts, replaced by reference under the engine's lock."""

    segments: tuple[Segment, ...] = ()
    pieces: tuple[Piece, ...] = ()
    building: CodeArray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    list_sizes: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    curves: Curves = field(default_factory=Curves)


class LiveIndex:
    """Pictures of products by slot; slots are small integers that the engine gives out."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.built = Built()
        self.for_graph = RowQueue()  # rows on no graph yet, oldest first
        self.for_lists = RowQueue()  # rows on no list yet
        self.to_mark: list[int] = []  # dead rows that graphs still return
        self.live_rows = 0
        self.live_products = 0
        self.graph_of: CodeArray = np.empty(0, dtype=np.int32)  # the row's segment, or NO_GRAPH
        self.list_of: ListArray = np.empty(0, dtype=np.uint16)
        self._first: CodeArray = np.empty(0, dtype=np.int32)
        self._live: BoolArray = np.empty(0, dtype=np.bool_)
        self._changed: IntArray = np.empty(0, dtype=np.int64)

    # Products

    def rows_of(self, slot: int) -> list[int]:
        """Return the slot's current rows, in the order of its images."""
        rows: list[int] = []
        row = int(self._first[slot]) if slot < len(self._first) else NO_ROW
        while row != NO_ROW:
            rows.append(row)
            row = int(self.rows.next[row])
        return rows

    def vectors(self, slot: int) -> FloatArray:
        """Return copies of the slot's current vectors, of shape (n, dim)."""
        return self.rows.unit(np.array(self.rows_of(slot), dtype=np.int64))

    def replace(
        self, slot: int, vectors: Vectors | None, kinds: Sequence[ImageKind], version: int
    ) -> None:
        """Give the slot these rows in place of its former ones; it is not live afterwards.

        A picture that was there before keeps its row: most updates of a product bring the
        pictures that it had, and these must cost the graphs nothing.
        """
        self.set_live(slot, live=False, version=version)
        former = self.rows_of(slot)
        whole, scales = self.rows.none if vectors is None else vectors
        scenes = [kind == "lifestyle" for kind in kinds]
        kept = {self.rows.key(row): row for row in former}
        rows = [
            kept.pop((v.tobytes(), scene), NO_ROW) if kept else NO_ROW
            for v, scene in zip(whole, scenes, strict=True)
        ]
        new = [n for n, row in enumerate(rows) if row == NO_ROW]
        added = self.rows.add(whole[new], scales[new], slot, [scenes[n] for n in new])
        for n, row in zip(new, added, strict=True):
            rows[n] = row
        self._await(added)
        for row, following in zip(rows, [*rows[1:], NO_ROW], strict=False):
            self.rows.next[row] = following
        self._first[slot] = rows[0] if rows else NO_ROW
        self._bury(set(former) - set(rows))

    def _await(self, added: Sequence[int]) -> None:
        """Queue new rows for the graphs and the lists."""
        if not added:
            return
        self.graph_of = grown(self.graph_of, self.rows.count, NO_GRAPH)
        self.list_of = grown(self.list_of, self.rows.count, NO_LIST)
        self.list_of[added] = NO_LIST
        self.for_graph.push(added)
        self.for_lists.push(added)

    def _bury(self, rows: set[int]) -> None:
        for row in rows:
            self.rows.alive[row] = False
            if self.graph_of[row] != NO_GRAPH:
                self.to_mark.append(row)

    def set_live(self, slot: int, *, live: bool, version: int) -> None:
        """Let searches find the slot's rows, or not; `version` numbers the change."""
        if slot >= len(self._first):
            self._first = grown(self._first, slot + 1, NO_ROW)
            self._live = grown(self._live, slot + 1, fill=False)
            self._changed = grown(self._changed, slot + 1, 0)
        self._changed[slot] = version
        row = int(self._first[slot])
        if self._live[slot] == live or row == NO_ROW:
            return
        self._live[slot] = live
        self.live_products += 1 if live else -1
        while row != NO_ROW:
            self.rows.live[row] = live
            self.live_rows += 1 if live else -1
            row = int(self.rows.next[row])

    # Views

    def view(
        self,
        version: int,
        products: BoolArray | None,
        kind: ImageKind | None,
        rows: BoolArray | None = None,
    ) -> View:
        """Return the live rows of the given products (None: all), of the kind, of the rows."""
        count = self.rows.count
        mask = self.rows.live[:count].copy()
        matches, matching = self.live_products, self.live_rows
        if products is not None:
            mask &= products[self.rows.slot[:count]]
            matches = int(np.count_nonzero(products & self._live[: len(products)]))
        if kind is not None:
            mask &= self.rows.lifestyle[:count] == (kind == "lifestyle")
        if rows is not None:
            mask[: len(rows)] &= rows[:count]
        if products is not None or kind is not None or rows is not None:
            matching = int(np.count_nonzero(mask))
        if kind is not None or rows is not None:
            matches = distinct(self.rows.slot[:count][mask])
        return View(
            version=version,
            mask=mask,
            slot=self.rows.slot,
            next=self.rows.next,
            first=self._first,
            list_of=self.list_of,
            list_sizes=self.built.list_sizes,
            segments=self.built.segments,
            pieces=self.built.pieces,
            building=self.built.building,
            fresh=self.for_graph.waiting(),
            uncoded=self.for_lists.waiting(),
            matches=matches,
            matching_rows=matching,
            live_rows=self.live_rows,
            curves=self.built.curves,
        )

    def changed_since(self, slots: npt.NDArray[np.integer], version: int) -> bool:
        """Return whether the pictures of one of these products changed, or came or went."""
        return bool((self._changed[slots] > version).any())

    # Counts

    @property
    def fresh_rows(self) -> int:
        """Return how many rows in use no graph holds yet."""
        waiting = int(np.count_nonzero(self.rows.alive[self.for_graph.waiting()]))
        return waiting + int(np.count_nonzero(self.rows.alive[self.built.building]))

    @property
    def dead_ratio(self) -> float:
        """Return the share of the graphs' rows that no search wants any more."""
        held = sum(segment.added for segment in self.built.segments)
        dead = sum(segment.marked for segment in self.built.segments) + len(self.to_mark)
        return min(1.0, dead / held) if held else 0.0


def distinct(slots: CodeArray) -> int:
    """Return the number of different slots."""
    seen = np.zeros(int(slots.max()) + 1 if len(slots) else 0, dtype=np.bool_)
    seen[slots] = True
    return int(np.count_nonzero(seen))
