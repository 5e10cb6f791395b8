"""The engine of one shard: records in, answers out, and a writer of graphs and lists behind."""

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
PAUSE_S = 0.02  # at most that graphs wait at a time for records to be applied,
YIELD_S = 0.002  # and these for a search that is the last to leave: then the next ones wait
TURN = 84  # prices, or as much work, that such a search applies: a fifth of a millisecond;
REST = 2.0  # then searches have so many times as long for themselves.
BEHIND_S, BEHIND_TURN = 1.0, 168  # Who has applied for so long is behind, and does more at a time,
GAP_S = 0.005  # unless there was such a pause.
BURST, BURST_TURN = 10_000, 896  # With so many rows waiting no rest: it should be over soon
SERVED = 20  # products of the search that `serving` is about
MAX_RECORDED_QUERIES = 512  # query vectors kept to measure with
__all__ = ["Engine", "Hooks", "Layout"]


class Engine(EngineProducts):
    """A searchable set of products, kept current by records.

    Threads: one applies, any number search, and one builds graphs and lists, either the writer
    of `start` or whoever calls `index_pending`. Where searches come, records are applied by those
    that leave. A search sees each record wholly or not at all, and sees it from
    the moment that `apply` returned, graph or no graph.
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
        self._begun = self._paused = 0.0  # to apply records one batch after the other
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
        """Return how much to apply at a time, and the rest of the searches after it."""
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

        With `collapse` near-duplicates count as one, with `diversity` the hits differ: see
        `visualsearch.search.varied`.

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
        # All of it in turn: beside records each return to Python from a call that has let go of its
        # lock takes a millisecond, be it only to look at the vector.
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
        """Return an answer, the slots of its products, and of which version it is."""
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
        else:  # products keep changing under the search: let none change
            with self._lock:
                view = self._view(query.filters)
                found, best_ones = self._find(view, vector, query.top_k, target)
                hits = self._hits(found, best_ones)
        return Answer(hits, found.plan), found.slots[best_ones], view.version

    def _find(
        self, view: View, vector: FloatArray, top_k: int, target: float
    ) -> tuple[Found, IntArray]:
        """Search a view; the second value says which of the found ones are the best, in order."""
        found = self._finder.find(view, vector, top_k, target)
        return found, best(found.slots, found.scores, self._products.names, top_k)

    def _view(self, filters: Filters) -> View:
        return self._index.shared(filters, self._products.matching)

    def _masked(self, rows: BoolArray | None) -> View:
        """Return a view of the live rows that a mask keeps."""
        with self._lock:
            return self._index.whole() if rows is None else self._index.view(None, None, rows)

    def _holds(self, view: View, found: Found, best_ones: IntArray, filters: Filters) -> bool:
        """Return whether an answer found without the lock is still true."""
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
        """Return the state, to be copied while records go on coming (docs/adr/0011)."""
        return Frozen(self._products, self._index, lambda: self._lock, self._least_listed)

    def adopt(self, saved: Saved) -> None:
        """Take the state of a snapshot; only before the first record."""
        with self._index_lock, self._lock:
            self._products.adopt(saved.shelf)
            self._index.adopt(saved.rows, saved.first, saved.searchable, saved.piece)
            self._upkeep.adopt(saved.piece.coder if saved.piece else None)
        self._writer.wake()

    @property
    def active_strategy(self) -> Strategy:
        """Return how a search without filters is answered now."""
        with self._lock:
            view = self._view(Filters())
        return self._finder.choice(view, SERVED, self._tuning.recall_target).strategy

    def stats(self) -> IndexStats:
        """Return the counts of this moment."""
        with self._lock:
            return counted(self._index, len(self._products), self._upkeep.merging)

    # The background writer

    def index_pending(self, batch: int = INDEX_BATCH) -> int:
        """Do one bounded piece of each kind of work; return rows dealt with, 0 when idle."""
        with self._index_lock:
            moved = self._upkeep.step(batch)
            moved += self._probe.answer(
                self._index, self._finder, self._probed, self._hooks.on_recall
            )
        if moved:
            self._hooks.on_indexed(moved)
        return moved

    def trial(self) -> Trial:
        """Return searches past the planner, to see what each of its knobs does."""
        return Trial(self._finder, self._probed)

    def _probed(self, filters: Filters) -> View:
        with self._lock:
            return self._view(filters)

    @property
    def settled(self) -> bool:
        """Return whether the background writer has nothing to do, for the moment."""
        return not self._upkeep.due and self._upkeep.idle

    def start(self) -> None:
        """Start the background writer; a second call does nothing."""
        self._writer.start()

    def close(self) -> None:
        """Stop the background writer after its current step. Searches go on working."""
        self._writer.close()
