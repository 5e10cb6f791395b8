"""What a search sees: the matching rows of one moment, and what there was to find them with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray
from visualsearch.index.codes import ListArray
from visualsearch.index.curve import Curves
from visualsearch.index.graph import Segment
from visualsearch.index.lists import ByteArray, Piece
from visualsearch.index.planner import Choice
from visualsearch.lru import Lru
from visualsearch.types import Filters

EVERYTHING = Filters()
SHARED = 16  # filters whose views are kept, with a byte or so per row each
COUNTED = 8_192  # of more matching rows a part is counted for the sizes of lists,
SPREAD_OUT = 0.5  # unless it is on less than this share of the lists: the others are left out


@dataclass(frozen=True, slots=True, eq=False)
class OnLists:
    """What a filter keeps of the lists."""

    bits: ByteArray  # a bit per row id, least significant first
    sizes: IntArray  # about how many matching rows each holds; one that holds some never has 0


# Not frozen: one is made after each change, and freezing costs more than the rest of it.
@dataclass(slots=True, eq=False, weakref_slot=True)
class View:
    """The matching rows of one moment, and what was there to find them with.

    A row keeps its product and its vector as long as a view shows it, so a view stays true of
    its moment, but for products that change during the search: `LiveIndex.changed_since` names
    those.
    """

    version: int
    mask: BoolArray  # shape (count,): the row is live and satisfies the filters
    slot: IntArray
    next: CodeArray
    first: CodeArray
    list_of: ListArray
    list_sizes: IntArray  # of each list, some rows that died since they were last counted included
    segments: tuple[Segment, ...]
    pieces: tuple[Piece, ...]
    building: CodeArray  # rows on their way into a graph, and
    fresh: CodeArray  # rows that wait for it: no graph holds either
    uncoded: CodeArray  # rows that no list holds,
    near: ListArray  # and which lists the first of these will be on
    matches: int  # products
    matching_rows: int
    live_rows: int
    curves: Curves
    choices: dict[tuple[int, float], Choice] = field(default_factory=dict)  # by k and target
    known_lists: list[OnLists] = field(init=False, default_factory=list)  # once a search has asked

    def on_lists(self) -> OnLists:
        """Return what the mask keeps of the lists."""
        if not self.known_lists:
            bits = np.packbits(self.mask, bitorder="little")
            self.known_lists.append(OnLists(bits, self._sizes()))
        return self.known_lists[0]

    def learn(self, former: "View") -> None:
        """Take over what was worked out for a view of the same rows, graphs and lists, if it is."""
        if np.array_equal(self.mask, former.mask):
            self.choices, self.known_lists = former.choices, former.known_lists

    def uncoded_on(self, lists: BoolArray) -> CodeArray:
        """Return the rows without a list that may lie on one of the lists of a mask."""
        count = len(self.near)
        return np.concatenate([self.uncoded[:count][lists[self.near]], self.uncoded[count:]])

    def matching(self, rows: IntArray | CodeArray) -> IntArray | CodeArray:
        """Return those of the rows that match; what is younger than the view does not."""
        if len(rows) and rows.max() >= len(self.mask):
            rows = rows[rows < len(self.mask)]
        return rows[self.mask[rows]]

    def _sizes(self) -> IntArray:
        count, step = len(self.list_sizes), self.matching_rows // COUNTED
        if step > 1:
            step |= 1  # odd: pictures come in pairs
            lists = self.list_of[: len(self.mask) : step][self.mask[::step]]
            sizes: IntArray = np.bincount(lists, minlength=count)[:count] * step
            if np.count_nonzero(sizes) >= SPREAD_OUT * count:
                return np.maximum(1, sizes)
        return np.bincount(self.list_of[np.flatnonzero(self.mask)], minlength=count)[:count]

    def only_pictures(self, rows: IntArray) -> IntArray | None:
        """Return the products of rows if each row is the one of its product; None if not."""
        slots = self.slot[rows]
        # A product that has changed since has another first row.
        if (self.next[rows] >= 0).any() or (self.first[slots] != rows).any():
            return None
        return slots

    def rows_of(self, slots: IntArray) -> tuple[IntArray, IntArray]:
        """Return the matching rows of these products, ascending, and their images' places."""
        # A product that has changed since leads to rows younger than the view: there it ends.
        last = len(self.mask)
        rows = self.first[slots].astype(np.int64)
        rows = rows[(rows >= 0) & (rows < last)]
        following = self.next[rows]
        places = np.zeros(len(rows), dtype=np.int64)
        if following.max(initial=-1) >= 0:  # some have several pictures
            every = [rows]
            while len(further := following[(following >= 0) & (following < last)]):
                every.append(further.astype(np.int64))
                following = self.next[further]
            rows = np.concatenate(every)
            places = np.repeat(np.arange(len(every)), [len(each) for each in every])
        kept = self.mask[rows]
        rows, places = rows[kept], places[kept]
        order = np.argsort(rows)
        return rows[order], places[order]


class Shared:
    """Views that searches have in common until something changes, by their filters."""

    def __init__(self) -> None:
        self._views: Lru[Filters, View] = Lru(SHARED)

    def __len__(self) -> int:
        return len(self._views.values())

    def of(self, filters: Filters, version: int, make: Callable[[], View]) -> View:
        """Return the view of the filters in this version, made if there is none.

        A price changes nothing of the rows, and so not the view of all.
        """
        view = self._views.get(filters)
        if view is None or (view.version != version and filters != EVERYTHING):
            former, view = view, make()
            if former is not None:
                view.learn(former)
            self._views.put(filters, view)
        return view

    def clear(self) -> None:
        """Let go of all: rows have changed, or graphs, or lists."""
        self._views.clear()


@dataclass(slots=True, eq=False)
class Built:
    """What upkeep has built: immutable parts, replaced by reference under the engine's lock."""

    segments: tuple[Segment, ...] = ()
    pieces: tuple[Piece, ...] = ()
    building: CodeArray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    list_sizes: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    curves: Curves = field(default_factory=Curves)
