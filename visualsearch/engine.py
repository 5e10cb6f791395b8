"""The engine of one shard: applies records, answers queries, builds graphs and lists."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from visualsearch.engine_products import EngineProducts
from visualsearch.errors import QueryError
from visualsearch.hooks import Hooks
from visualsearch.index.arrays import BoolArray, IntArray
from visualsearch.index.counts import counted
from visualsearch.index.fair import Busy, Turns
from visualsearch.index.find import Finder, Found
from visualsearch.index.frozen import Frozen, Saved
from visualsearch.index.layout import Layout
from visualsearch.index.planner import Costs, Strategy, Tuning
from visualsearch.index.probe import Probe
from visualsearch.index.products import APPLIED, HIDDEN, RESULTS, SHOWN
from visualsearch.index.rows import Vectors, parts, prepared
from visualsearch.index.state import ImageRef, IndexStats
from visualsearch.index.trial import Trial
from visualsearch.index.upkeep import Upkeep
from visualsearch.index.view import EVERYTHING, View
from visualsearch.index.writer import Writer
from visualsearch.search.compose import unit_vector
from visualsearch.search.group import best
from visualsearch.search.varied import diversify
from visualsearch.types import (
    Answer,
    Applied,
    Filters,
    FloatArray,
    Hit,
    OfferRecord,
    Outcome,
    Query,
    Record,
    VectorsRecord,
)

OPTIMISTIC_ATTEMPTS = 3
APPROXIMATE = ("graph", "ivfpq")
INDEX_BATCH = 256  # rows: some 100 ms of one core
# Fair locking between apply and search: see `visualsearch.index.fair.Turns`.
PAUSE_S = 0.02  # the longest that graph building waits for an apply to end
YIELD_S = 0.002  # how long an apply waits for searches to end; then new searches wait for it
TURN = 84  # work applied in one step, in price records: a fifth of a millisecond
REST = 2.0  # time for searches after a step, as a multiple of the step's own
BEHIND_S, BEHIND_TURN = 1.0, 168  # after so long without a gap, a step is larger
GAP_S = 0.005  # pause between applies that counts as a gap
BURST, BURST_TURN = 10_000, 896  # with so many rows waiting for a graph: larger steps, no rest
SERVED = 20  # `top_k` of the search whose strategy `active_strategy` returns
MAX_RECORDED_QUERIES = 512  # query vectors kept for measuring costs
__all__ = ["Engine", "Hooks", "Layout"]


class Engine(EngineProducts):
    """A searchable set of products, updated by records.

    Threads: one applies, any number search, and one builds graphs and lists (the writer of `start`,
    or a caller of `index_pending`). Under load, search threads apply records as they finish. A
    search sees each record wholly or not at all, and sees it once `apply` has returned, whether or
    not it is in a graph yet.
    """

    def __init__(
        self,
        model: str,
        dim: int,
        *,
        tuning: Tuning | None = None,
        costs: Costs | None = None,
        layout: Layout | None = None,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        layout = layout or Layout()
        super().__init__(dim, layout.chunk_rows)
        self.model = model
        self._hooks = hooks or Hooks()
        self._tuning = tuning or Tuning()
        self._index_lock = threading.Lock()  # one graph writer at a time; taken before `_lock`
        self._finder = Finder(self._index.rows, self._tuning, costs or Costs())
        self._least_listed = layout.coder_rows
        self._recorded_queries: deque[FloatArray] = deque(maxlen=MAX_RECORDED_QUERIES)
        self._probe = Probe(layout.probe_share, layout.probe_core)
        self._applying, self._searching = Busy(), Turns()
        self._begun = self._paused = 0.0  # start of a run of applies; end of the last one
        self._upkeep = Upkeep(
            self._index, self._finder, lambda: self._lock, layout, self._masked,
            lambda: list(self._recorded_queries), clock, self._hooks,
            lambda: self._applying.wait(PAUSE_S),
        )  # fmt: skip
        self._writer = Writer(self.index_pending, self._hooks.on_error)

    # Records

    def apply(self, records: Sequence[Record]) -> list[Applied]:
        """Apply records in their order; return one outcome each. Never raises for bad data."""
        applied: list[Applied] = []
        work, rest = self._pace()
        groups = [partial(self._apply_group, part, applied) for part in parts(records, work)]
        self._searching.alone(groups, YIELD_S, rest)
        self._paused = time.perf_counter()
        if self._upkeep.due:
            self._writer.wake()
        return applied

    def _pace(self) -> tuple[int, float]:
        """Return the work of one step, and the rest after it (see `REST`)."""
        now = time.perf_counter()
        if now > self._paused + GAP_S:
            self._begun = now
        if len(self._index.for_graph) >= BURST:
            return BURST_TURN, 0.0
        return (BEHIND_TURN if now > self._begun + BEHIND_S else TURN), REST

    def _apply_group(self, records: Sequence[Record], applied: list[Applied]) -> None:
        """Apply records under one hold of the lock."""
        with self._applying:
            group = list(prepared(records, self.dim, self.model))
            with self._lock:
                self._index.version += 1
                applied += [self._apply(record, vectors) for record, vectors in group]
                self._products.flush(self._index.version)
                self._index.flush()

    def _apply(self, record: Record, vectors: Vectors | Outcome | None) -> Applied:
        products = self._products
        if type(record) is OfferRecord:
            return products.put_offer(record)
        slot, was = products.known(record.product_id)
        outcome = products.judge(record, was)
        if vectors is not None and isinstance(vectors, Outcome):
            outcome, vectors = vectors if outcome is APPLIED else outcome, None
        if outcome is not APPLIED:
            return RESULTS[outcome, was is not None and was.searchable]
        if slot is None or was is None:
            slot, was = products.open(record.product_id)
        refs: tuple[ImageRef, ...] = ()
        if type(record) is VectorsRecord:
            images = () if record.deleted else record.images
            refs = tuple([ImageRef(image.image_id, image.kind, image.url) for image in images])
            self._index.replace(slot, vectors, [image.kind for image in images])
        searchable = products.put(record, slot, was, refs).searchable
        self._index.show(slot, live=searchable)
        return SHOWN if searchable else HIDDEN

    # Searches

    def search(self, query: Query) -> Answer:
        """Return the `min(top_k, matches)` best products that satisfy the filters.

        `collapse` and `diversity` are described in `visualsearch.search.varied`.

        Raises QueryError for a vector of another shape, not finite or zero, for a `top_k` below
        1 and for a `recall_target` or `diversity` that is not between 0 and 1.
        """
        if query.top_k < 1:
            raise QueryError("top_k must be at least 1", field="top_k")
        target = self._tuning.recall_target if query.recall_target is None else query.recall_target
        if not 0.0 < target <= 1.0:
            raise QueryError("recall_target must lie between 0 and 1", field="recall_target")
        if not 0.0 <= query.diversity <= 1.0:
            raise QueryError("diversity must lie between 0 and 1", field="diversity")
        if query.collapse or query.diversity:
            plain = replace(query, diversity=0.0, collapse=False)
            return diversify(
                lambda count: self.search(replace(plain, top_k=count)),
                self.hit_vectors,
                query.top_k,
                diversity=query.diversity,
                collapse=query.collapse,
            )
        # All of it inside: while records are applied, each call that releases the GIL costs a
        # millisecond to get it back.
        with self._searching:
            vector = unit_vector(query.vector, self.dim, field="vector")
            self._recorded_queries.append(vector)
            answer, slots, version = self._answered(vector, query, target)
        if answer.plan.strategy in APPROXIMATE and self._probe.offer(query, vector, version, slots):
            self._writer.wake()
        return answer

    def _answered(
        self, vector: FloatArray, query: Query, target: float
    ) -> tuple[Answer, IntArray, int]:
        """Return an answer, the slots of its products, and the version of the index searched."""
        for _ in range(OPTIMISTIC_ATTEMPTS):
            with self._lock:
                view = self._view(query.filters)
            found, best_ones = self._find(view, vector, query.top_k, target)
            ahead = self._products.ahead(found.slots[best_ones].tolist())
            with self._lock:
                self._products.keep(ahead)
                if self._holds(view, found, best_ones, query.filters):
                    hits = self._hits(found, best_ones)
                    break
        else:  # products changed during each attempt: search under the lock
            with self._lock:
                view = self._view(query.filters)
                found, best_ones = self._find(view, vector, query.top_k, target)
                hits = self._hits(found, best_ones)
        return Answer(hits, found.plan), found.slots[best_ones], view.version

    def _find(
        self, view: View, vector: FloatArray, top_k: int, target: float
    ) -> tuple[Found, IntArray]:
        """Search a view; the second value has the indexes of the best candidates, in order."""
        found = self._finder.find(view, vector, top_k, target)
        return found, best(found.slots, found.scores, self._products.names, top_k)

    def _view(self, filters: Filters) -> View:
        return self._index.shared(filters, self._products.matching)

    def _masked(self, rows: BoolArray | None) -> View:
        """Return a view of the live rows in a mask; of all of them without one."""
        with self._lock:
            return self._index.whole() if rows is None else self._index.view(None, None, rows)

    def _holds(self, view: View, found: Found, best_ones: IntArray, filters: Filters) -> bool:
        """Return whether an answer found without the lock is still valid."""
        if self._index.version == view.version:
            return True
        if self._index.changed_since(found.looked_at, view.version):
            return False
        slots = found.slots[best_ones]
        return filters == EVERYTHING or self._products.satisfy(slots, filters, view.version)

    def _hits(self, found: Found, best_ones: IntArray) -> tuple[Hit, ...]:
        return self._products.hits(
            found.slots[best_ones].tolist(),
            found.places[best_ones].tolist(),
            found.scores[best_ones].tolist(),
        )

    # Snapshots

    def freeze(self) -> Frozen:
        """Return the state, to be copied while records are applied (docs/adr/0011)."""
        return Frozen(self._products, self._index, lambda: self._lock, self._least_listed)

    def adopt(self, saved: Saved) -> None:
        """Load the state of a snapshot; only before the first record."""
        with self._index_lock, self._lock:
            self._products.adopt(saved.shelf)
            self._index.adopt(saved.rows, saved.first, saved.searchable, saved.piece)
            self._upkeep.adopt(saved.piece.coder if saved.piece else None)
        self._writer.wake()

    @property
    def active_strategy(self) -> Strategy:
        """Return the strategy of a search without filters now."""
        with self._lock:
            view = self._view(Filters())
        return self._finder.choice(view, SERVED, self._tuning.recall_target).strategy

    def stats(self) -> IndexStats:
        """Return the current counts."""
        with self._lock:
            return counted(self._index, len(self._products), self._upkeep.merging)

    # The background writer

    def index_pending(self, batch: int = INDEX_BATCH) -> int:
        """Do one bounded step of each kind of work; return the rows processed, 0 when idle."""
        with self._index_lock:
            moved = self._upkeep.step(batch)
            moved += self._probe.answer(
                self._index, self._finder, self._probed, self._hooks.on_recall
            )
        if moved:
            self._hooks.on_indexed(moved)
        return moved

    def trial(self) -> Trial:
        """Return searches with given planner parameters, for tuning."""
        return Trial(self._finder, self._probed)

    def _probed(self, filters: Filters) -> View:
        with self._lock:
            return self._view(filters)

    @property
    def settled(self) -> bool:
        """Return whether the background writer has nothing to do at the moment."""
        return not self._upkeep.due and self._upkeep.idle

    def start(self) -> None:
        """Start the background writer; a second call does nothing."""
        self._writer.start()

    def close(self) -> None:
        """Stop the background writer after its current step. Searches still work."""
        self._writer.close()
