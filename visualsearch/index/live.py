"""The live index by product slot: which rows a product has, and what waits for graphs and lists.

Whoever changes it or takes a `View` holds the engine's lock; `visualsearch.index.find` searches a
view without it, and `visualsearch.index.upkeep` builds graphs and lists, and publishes them here.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, RowQueue, distinct, grown
from visualsearch.index.chunks import StoredArray
from visualsearch.index.codes import NO_LIST, NO_LISTS, ListArray
from visualsearch.index.graph import NO_GRAPH, leave_out
from visualsearch.index.lists import Piece
from visualsearch.index.resting import Resting
from visualsearch.index.rows import NO_ROW, NewRows, Rows, SavedRows, Vectors
from visualsearch.index.view import EVERYTHING, Built, Shared, View
from visualsearch.types import Filters, FloatArray, ImageKind


class LiveIndex:
    """Pictures of products by slot; slots are small integers that the engine gives out.

    Changes are collected and written to the arrays by `flush`, many at once: both happen under
    one hold of the engine's lock, so that no view sees them half done.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.version = 0  # raised by the engine before it changes something
        self.built = Built()
        self.for_graph = RowQueue()  # rows on no graph yet, oldest first
        self.for_lists = RowQueue()  # rows on no list yet
        self.near: ListArray = NO_LISTS  # of the first of those: the lists that they will be on
        self.growing = 0  # the number of the graph that takes fresh rows; 0: there is none
        self.to_mark: list[int] = []  # dead rows that graphs still return
        self.deaths = 0  # of rows, so far
        self.live_rows = 0
        self.live_products = 0
        self.graph_of: CodeArray = np.empty(0, dtype=np.int32)  # the row's segment, or NO_GRAPH
        self.list_of: ListArray = np.empty(0, dtype=np.uint16)
        self._first: CodeArray = np.empty(0, dtype=np.int32)
        self._live: BoolArray = np.empty(0, dtype=np.bool_)
        self._changed: IntArray = np.empty(0, dtype=np.int64)
        self._shown: list[int] = []  # how many rows of the slot are live
        self._wanted: dict[int, bool] = {}  # slots that changed: shall searches find them?
        self._replaced: dict[int, tuple[int, ...]] = {}  # rows of those with others than before
        self._new: list[NewRows] = []
        self._dead: list[int] = []
        self._shared = Shared()
        self.resting = Resting()

    def adopt(
        self, saved: SavedRows, first: CodeArray, searchable: BoolArray, piece: Piece | None
    ) -> None:
        """Take the rows of a snapshot; nothing may have been stored before.

        `first` has the first row of each slot or NO_ROW, `searchable` says which slots can be
        found. No graph holds the rows; those with NO_LIST wait for the lists too.
        """
        self.rows.adopt(saved)
        self.forget()
        count = self.rows.count
        live = searchable[saved.slot]
        self.rows.live[:] = live
        self.graph_of = np.full(count, NO_GRAPH, dtype=np.int32)
        self.list_of = saved.list_of
        self._first = first
        self._live = searchable & (first != NO_ROW)
        self._changed = np.zeros(len(first), dtype=np.int64)
        shown = np.bincount(saved.slot[live], minlength=len(first))
        self._shown = shown.tolist()
        self.live_rows = int(shown.sum())
        self.live_products = int(np.count_nonzero(shown))
        # In no order: a thin graph of rows that come list by list finds less (merge.py).
        self.for_graph.push(np.random.default_rng(count).permutation(count))
        self.for_lists.push(np.flatnonzero(saved.list_of == NO_LIST))
        if piece is not None:
            self.built.pieces = (piece,)
            self.built.list_sizes = self.list_sizes(len(piece.coder.centroids))

    def list_sizes(self, count: int) -> IntArray:
        """Return how many rows each of the `count` lists holds; rows may come and go meanwhile."""
        # Alive, not live: a product that comes back brings its rows to lists that had none.
        list_of = self.list_of
        lists = list_of[np.flatnonzero(self.rows.alive[: len(list_of)])]
        return np.bincount(lists, minlength=count)[:count]

    # Products

    def rows_of(self, slot: int) -> tuple[int, ...]:
        """Return the slot's current rows, in the order of its images."""
        rows = self._replaced.get(slot)
        return tuple(self._chained(slot)) if rows is None else rows

    def _chained(self, slot: int) -> Iterator[int]:
        row = int(self._first[slot]) if slot < len(self._first) else NO_ROW
        while row != NO_ROW:
            yield row
            row = int(self.rows.next[row])

    def vectors(self, slot: int) -> FloatArray:
        """Return copies of the slot's current vectors, of shape (n, dim)."""
        return self.rows.unit(np.array(self.rows_of(slot), dtype=np.int64))

    def replace(self, slot: int, vectors: Vectors | None, kinds: Sequence[ImageKind]) -> None:
        """Give the slot these rows in place of its former ones.

        A picture that was there before keeps its row: most updates of a product bring the
        pictures that it had, and these must cost the graphs nothing.
        """
        if slot in self._replaced:  # its former rows are not written yet
            self.flush()
        former = self.rows_of(slot)
        if vectors is None:
            self._replaced[slot] = ()
            self._dead.extend(former)
            return
        whole, scales = vectors
        scenes = [kind == "lifestyle" for kind in kinds]
        if not former:
            rows = self.rows.take(len(whole))
            self._new.append(NewRows(slot, rows, whole, scales, scenes))
        else:
            rows = self._keeping(slot, former, whole, scales, scenes)
        self._replaced[slot] = tuple(rows)

    def _keeping(
        self,
        slot: int,
        former: Sequence[int],
        whole: StoredArray,
        scales: FloatArray,
        scenes: Sequence[bool],
    ) -> list[int]:
        """Return the slot's rows to be: former ones of the same pictures, and new ones."""
        kept = {self.rows.key(row): row for row in former}
        rows = [
            kept.pop((v.tobytes(), scene), NO_ROW) for v, scene in zip(whole, scenes, strict=True)
        ]
        new = [n for n, row in enumerate(rows) if row == NO_ROW]
        if new:
            added = self.rows.take(len(new))
            for n, row in zip(new, added, strict=True):
                rows[n] = row
            self._new.append(
                NewRows(slot, added, whole[new], scales[new], [scenes[n] for n in new])
            )
        self._dead.extend(set(former).difference(rows))
        return rows

    def show(self, slot: int, *, live: bool) -> None:
        """Let searches find the slot's rows, or not."""
        self._wanted[slot] = live

    def flush(self) -> None:
        """Write what was changed."""
        if not self._wanted and not self._replaced:
            return
        self.forget()
        self.resting.free(self.version)
        most = max([*self._wanted, *self._replaced])
        if most >= len(self._first):
            self._first = grown(self._first, most + 1, NO_ROW)
            self._live = grown(self._live, most + 1, fill=False)
            self._changed = grown(self._changed, most + 1, 0)
        self._shown.extend(0 for _ in range(len(self._shown), most + 1))
        if self._new:
            self._write_new()
        if self._dead:
            self._bury()
        self._write_live()
        if self._replaced:
            self._link()

    def _write_new(self) -> None:
        added = self.rows.write(self._new)
        self.graph_of = grown(self.graph_of, self.rows.count, NO_GRAPH)
        self.list_of = grown(self.list_of, self.rows.count, NO_LIST)
        self.list_of[added] = NO_LIST
        self.for_graph.push(added)
        self.for_lists.push(added)
        self._new = []

    def _link(self) -> None:
        """Chain the rows of each product that has other ones now."""
        heads: list[int] = []
        links: list[int] = []
        following: list[int] = []
        for rows in self._replaced.values():
            heads.append(rows[0] if rows else NO_ROW)
            links.extend(rows)
            following.extend(rows[1:])
            if rows:
                following.append(NO_ROW)
        self.rows.next[links] = following
        self._first[list(self._replaced)] = heads
        self._replaced = {}

    def _bury(self) -> None:
        dead = np.array(self._dead, dtype=np.int64)
        self.rows.alive[dead] = False
        self.rows.live[dead] = False
        self.resting.add(self.rows.vacate, self.rows.places_of(dead), self.version)
        graphs = self.graph_of[dead]
        full = (graphs != NO_GRAPH) & (graphs != self.growing)
        leave_out(self.built.segments, dead[full].tolist(), graphs[full].tolist())
        self.to_mark.extend(dead[graphs == self.growing].tolist())
        self.deaths += len(dead)
        self._dead = []

    def _write_live(self) -> None:
        shown: list[int] = []
        hidden: list[int] = []
        for slot, live in self._wanted.items():
            rows = self.rows_of(slot)
            now, before = len(rows) if live else 0, self._shown[slot]
            (shown if live else hidden).extend(rows)
            self._shown[slot] = now
            self.live_rows += now - before
            self.live_products += (now > 0) - (before > 0)
        self.rows.live[shown] = True
        self.rows.live[hidden] = False
        slots = list(self._wanted)
        self._live[slots] = [self._shown[slot] > 0 for slot in slots]
        self._changed[slots] = self.version
        self._wanted = {}

    def let_go(self, rows: list[int]) -> None:
        """Let dead rows that no queue and no graph holds be used again, but not too soon."""
        self.resting.add(self.rows.free, rows, self.version)
        self.resting.free(self.version)

    # Views

    def whole(self) -> View:
        """Return the view of all live rows."""
        return self.shared(EVERYTHING, lambda _: None)

    def shared(self, filters: Filters, matching: Callable[[Filters], BoolArray | None]) -> View:
        """Return the view of these filters; `matching` returns their mask of products, or None."""
        return self._shared.of(
            filters, self.version, lambda: self.view(matching(filters), filters.image_kind)
        )

    def view(
        self,
        products: BoolArray | None,
        kind: ImageKind | None,
        rows: BoolArray | None = None,
    ) -> View:
        """Return the live rows of the given products (None: all), of the kind, of the rows."""
        count = self.rows.count
        mask = self.rows.live[:count].copy()
        matches, matching = self.live_products, self.live_rows
        if products is not None:
            # `take` with "clip", for indexing would copy all slots as 64 bits first
            mask &= products.take(self.rows.slot[:count], mode="clip")
            live = self._live[: len(products)]  # a product of which only an offer came has no cell
            matches = int(np.count_nonzero(products[: len(live)] & live))
        if kind is not None:
            mask &= self.rows.lifestyle[:count] == (kind == "lifestyle")
        if rows is not None:
            mask[: len(rows)] &= rows[:count]
        if products is not None or kind is not None or rows is not None:
            matching = int(np.count_nonzero(mask))
        if kind is not None or rows is not None:
            matches = distinct(self.rows.slot[:count][mask])
        view = View(
            version=self.version,
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
            near=self.near,
            matches=matches,
            matching_rows=matching,
            live_rows=self.live_rows,
            curves=self.built.curves,
        )
        self.resting.shown(view)
        return view

    def forget(self) -> None:
        """Let the next searches see what has changed; what is gone is no longer held."""
        self._shared.clear()

    def changed_since(self, slots: npt.NDArray[np.integer], version: int) -> bool:
        """Return whether the pictures of one of these products changed, or came or went."""
        return bool((self._changed[slots] > version).any())
