"""What goes on behind the searches, by one thread, in bounded steps: graphs, lists, curves.

Every step leaves a state that can be searched; what it has built is published by reference, under
the engine's lock, and nothing that is searched is changed but by adding to or marking in a graph.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from visualsearch.hooks import Hooks
from visualsearch.index.arrays import BoolArray, CodeArray, IntArray
from visualsearch.index.find import Finder
from visualsearch.index.graph import NO_GRAPH, THIN, Segment, leave_out
from visualsearch.index.layout import Layout
from visualsearch.index.listing import Listing
from visualsearch.index.lists import Coder
from visualsearch.index.live import LiveIndex
from visualsearch.index.measure import QUERIES, Measuring, Sampler, measured
from visualsearch.index.memory import Memory
from visualsearch.index.merge import FAN_IN, Backlog, Merge, to_rebuild, to_tidy
from visualsearch.index.reduction import Reducer, Reduction
from visualsearch.index.view import View
from visualsearch.types import FloatArray

Lock = Callable[[], AbstractContextManager[object]]
MARKED = 256  # dead rows in a step
PART_ROWS = 64  # that go into a graph at once
MERGE_PARTS = 4  # in a step, as many rows as the active graph takes: both go on
UNCODED_MOST = 8_192  # rows on no list: with more all else waits, for each search scans them
FRESH_MOST = 20_000  # waiting rows: with more, walks would be measured that none chooses
SMALLER = 2  # at rest graphs become one with another that is at most so many times larger,
MUCH_SMALLER = 8  # or so many where no more rows come together than when thin ones do
GROWTH = 1.3  # the curves are measured again when the index has grown or shrunk so much


class Upkeep:
    """Moves rows into graphs and lists, rebuilds both, and measures what searches cost."""

    def __init__(
        self,
        index: LiveIndex,
        finder: Finder,
        lock: Lock,
        layout: Layout,
        view: Callable[[BoolArray | None], View],
        asked: Callable[[], list[FloatArray]],
        clock: Callable[[], float],
        hooks: Hooks,
        calm: Callable[[], object],
    ) -> None:
        self._index = index
        self._finder = finder
        self._lock = lock
        self._layout = layout
        self._view = view
        self._asked = asked
        self._clock = clock
        self._hooks = hooks
        self._calm = calm  # called before a core is kept busy for some 20 ms
        self._idle = True
        self._decay = 0  # when the last step began
        self._rng = np.random.default_rng(layout.seed)
        self._reducer = Reducer(index.rows, layout.coder_rows, self._rng)
        self._backlog = Backlog()
        self._made = 0  # graphs so far: the last one's number
        self._active: Segment | None = None
        self._memory = Memory(index, lock, hooks.on_freed)
        self._listing = Listing(index, lock, layout, self._rng, self._memory.freed)
        self._merge: Merge | None = None
        self._measuring: Measuring | None = None
        self._rebuilt = 0  # rows that are in other graphs than when the curves were measured

    def adopt(self, coder: Coder | None) -> None:
        """Take the coder of a snapshot; before the first step."""
        self._listing.coder = coder

    def step(self, batch: int) -> int:
        """Do one bounded piece of each kind of work; return rows dealt with, 0 if idle."""
        self._decay = self._listing.decay
        self._memory.step()
        done = self._listing.step()
        if not done or len(self._index.for_lists) <= UNCODED_MOST:
            done += self._mark() + self._insert(batch)
            done += self._merge_step()
            if not done and self._measuring is None and self._index.built.curves.rows:
                done = self._listing.tidy() or self._tidy()  # first: curves are of what stays
            done += self._measure_step(busy=done > 0)
            done = done or self._listing.tidy() or self._tidy()
        self._idle = done == 0
        return done

    @property
    def due(self) -> bool:
        """Return whether rows wait for a graph, or so many have died that a step should look."""
        index = self._index
        return bool(len(index.for_graph) or index.to_mark) or self._listing.decay != self._decay

    @property
    def idle(self) -> bool:
        """Return whether the last step found nothing to do."""
        return self._idle

    @property
    def merging(self) -> tuple[int, int]:
        """Return rows inserted by the rebuild under way, and its rows; zeros without one."""
        merge = self._merge
        return (merge.progress.done, merge.progress.total) if merge else (0, 0)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """Hold the lock, and let no later search start from what it saw before."""
        with self._lock():
            self._index.forget()
            yield

    def _mark(self) -> int:
        """Let graphs leave out the dead that no other thread may mark; return how many remain."""
        index = self._index
        if not index.to_mark:
            return 0
        self._calm()
        with self._lock():
            marks, index.to_mark = index.to_mark[:MARKED], index.to_mark[MARKED:]
            leave_out(index.built.segments, marks, index.graph_of[marks].tolist())
        return len(index.to_mark)

    def _insert(self, batch: int) -> int:
        done = 0
        while done < batch and (moved := self._insert_part(min(PART_ROWS, batch - done))):
            done += moved
            self._listing.look()
        return done

    def _insert_part(self, count: int) -> int:
        """Move fresh rows into the active graph; those that died meanwhile are left out."""
        if self._bulk or not len(self._index.for_graph):
            return 0
        if self._active is None or self._active.free == 0:
            self._open()
        active = self._active
        assert active is not None  # noqa: S101 - opened above
        with self._lock():
            taken = self._index.for_graph.waiting()[: min(count, active.free)].copy()
            rows = taken[self._index.rows.alive[taken]].astype(np.int64)
        if len(rows):
            self._calm()
            active.add(rows, self._index.rows.unit(rows))
        with self._publishing():
            self._index.for_graph.pop(len(taken))
            self._settle(active, rows, taken)
        return len(taken)

    def _open(self) -> None:
        self._made += 1
        dim, rows = self._index.rows.dim, self._layout.segment_rows
        self._active = Segment(dim, rows, THIN, self._made, self._reduction())
        with self._publishing():
            built = self._index.built
            built.segments = (*built.segments, self._active)
            self._index.growing = self._made

    def _reduction(self) -> Reduction | None:
        """Return what the newest graph projects its rows by."""
        index = self._index
        with self._lock():
            rows = np.flatnonzero(index.rows.alive[: index.rows.count])
        return self._reducer.of(self._made, rows)

    @property
    def _bulk(self) -> bool:
        """Return whether many rows wait, and lists are there to find them by meanwhile."""
        waiting = len(self._index.for_graph)
        return self._listing.coder is not None and self._backlog.large(waiting, self._layout)

    def _settle(self, graph: Segment, held: IntArray | CodeArray, taken: CodeArray) -> None:
        """Note which graph holds the rows; free those of `taken` that died before it did."""
        index = self._index
        index.graph_of[held] = graph.number
        alive = index.rows.alive
        index.to_mark.extend(held[~alive[held]].tolist())
        lost = taken[~alive[taken] & (index.graph_of[taken] == NO_GRAPH)]
        index.let_go(np.unique(lost).tolist())

    def _merge_step(self) -> int:
        if self._merge is None:
            return self._begin_merge()
        merge = self._merge
        if not merge.finished:
            before = merge.progress
            left = -(-(before.total - before.done) // PART_ROWS)
            for _ in range(min(MERGE_PARTS, left)):
                self._calm()
                merge.step(PART_ROWS)
            return merge.progress.done - before.done
        self._publish_graph(merge)
        self._merge = None
        self._hooks.on_swapped()
        self._memory.freed()
        return 1

    def _begin_merge(self) -> int:
        """Begin the next rebuild, if one is due; what fails on the way has changed nothing."""
        index, layout = self._index, self._layout
        taken = index.for_graph.waiting()[:0].copy()
        if self._bulk:
            if not self._backlog.due(len(index.for_graph), layout):
                return 1  # it is not idle: it waits for the rest
            taken = index.for_graph.waiting()[: layout.most_rows].copy()
            thin = tuple(s for s in index.built.segments if s.shape is THIN)
            replaces = thin if sum(s.live for s in thin) <= len(taken) else ()
        else:
            replaces = to_rebuild(index.built.segments, layout.most_rows, layout.segment_rows // 64)
        return self._rebuild(replaces, taken) if replaces or len(taken) else 0

    def _tidy(self) -> int:
        """Begin to make few graphs of many, or small of whole ones: when nothing else is to do."""
        index = self._index
        graphs, layout = index.built.segments, self._layout
        replaces = (
            to_tidy(
                graphs, lambda segment: segment.live, FAN_IN * layout.segment_rows, MUCH_SMALLER
            )
            or to_tidy(graphs, lambda segment: segment.live, layout.most_rows, SMALLER)
            or tuple(g for g in graphs if self._reducer.outgrown(g.number, index.live_rows))
        )
        return self._rebuild(replaces, index.for_graph.waiting()[:0]) if replaces else 0

    def _rebuild(self, replaces: tuple[Segment, ...], taken: CodeArray) -> int:
        """Begin to build one graph of these and of waiting rows."""
        index, layout = self._index, self._layout
        rows = np.concatenate([taken, *(segment.rows for segment in replaces)])
        with self._lock():
            rows = rows[index.rows.alive[rows]]
        self._made += 1
        lists_of = self._listing.lists_of
        self._merge = Merge(
            replaces, rows, lists_of, index.rows, self._made, layout.threads, self._reduction()
        )
        if self._active in replaces:
            self._active = None
        with self._publishing():
            index.for_graph.pop(len(taken))
            index.built.building = taken
        return 1

    def _publish_graph(self, merge: Merge) -> None:
        """Swap the rebuilt graph in; rows that only the old ones held are free."""
        index = self._index
        gone = [segment.rows for segment in merge.replaces]
        held = merge.result.rows
        self._rebuilt += len(held)
        with self._publishing():
            built = index.built
            former = np.concatenate([*gone, built.building]).astype(np.int64)
            kept = tuple(s for s in built.segments if s not in merge.replaces)
            built.segments = (*kept, merge.result) if len(held) else kept
            built.building = np.empty(0, dtype=np.int32)
            index.graph_of[former] = NO_GRAPH
            index.to_mark = [row for row in index.to_mark if index.graph_of[row] != NO_GRAPH]
            self._settle(merge.result, held, former.astype(np.int32))

    def _measure_step(self, *, busy: bool) -> int:
        """Measure when there is nothing else to do, or when what is known is far off.

        What has begun goes on: it holds a view, and with it rows and graphs that have gone.
        """
        index = self._index
        if self._measuring is None:
            if not self._stale(busy=busy):
                return 0
            live = np.flatnonzero(self._view(None).mask)
            queries = Sampler(index.rows, self._rng).queries(self._asked(), live)
            self._rebuilt = 0
            self._measuring = measured(self._finder, self._view, queries, self._rng, self._clock)
        measuring, self._measuring = self._measuring, None  # one that fails is over
        curves = next(measuring)
        if curves is None:
            self._measuring = measuring
        else:
            with self._publishing():
                index.built.curves = curves
            self._memory.freed()
        return 1

    def _stale(self, *, busy: bool) -> bool:
        """Return whether the curves no longer say enough of what searches cost."""
        known, now = self._index.built.curves, self._index.live_rows
        if now < max(1, self._layout.coder_rows // 8) or (busy and not known.rows):
            return False  # what is guessed is on the safe side
        if len(self._index.for_graph) > FRESH_MOST:
            return False
        growth = GROWTH if not busy else GROWTH**3
        if not known.rows / growth <= now <= known.rows * growth:
            return True
        rebuilt = not busy and self._rebuilt > now // 4  # other axes need other beams
        if rebuilt or (self._index.built.pieces and not known.listed):
            return True
        return not busy and 2 * known.asked < min(QUERIES, len(self._asked()))
