"""The engine of one shard: records in, answers out, with a background writer for the graphs."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from visualsearch.errors import QueryError
from visualsearch.index.columns import Columns
from visualsearch.index.graph import CAPACITY, Graph
from visualsearch.index.live import Found, LiveIndex, View
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.rows import CHUNK_ROWS, Rows, unit_rows
from visualsearch.index.state import ImageRef, IndexStats, ProductState, satisfies
from visualsearch.search.compose import unit_vector
from visualsearch.search.group import Candidate, best
from visualsearch.search.hits import hits
from visualsearch.types import (
    Answer,
    Applied,
    BaseRecord,
    Filters,
    FloatArray,
    OfferRecord,
    Outcome,
    Query,
    Record,
    VectorsRecord,
)

OPTIMISTIC_ATTEMPTS = 3
INDEX_BATCH = 64  # rows: some 30 ms of one core


def _ignore(_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the engine tells its owner, from the thread in which it happened."""

    on_indexed: Callable[[int], object] = _ignore  # fresh rows and marks moved to the graphs
    on_error: Callable[[Exception], object] = _ignore  # the background writer failed and goes on


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the storage; small ones make tests meet every border."""

    chunk_rows: int = CHUNK_ROWS
    segment_rows: int = CAPACITY
    seed: int = 100


class Engine:
    """A searchable set of products, kept current by records.

    Threads: one applies, any number search, and one moves fresh rows into the graphs, either
    the writer of `start` or whoever calls `index_pending`. A search sees each record wholly or
    not at all, and sees it from the moment that `apply` returned, graph or no graph.
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
    ) -> None:
        layout = layout or Layout()
        self.model = model
        self.dim = dim
        self._hooks = hooks or Hooks()
        self._lock = threading.Lock()  # held for microseconds: one record, one mask, one answer
        self._index_lock = threading.Lock()  # one graph writer at a time; taken before `_lock`
        self._index = LiveIndex(
            Rows(dim, chunk_rows=layout.chunk_rows),
            Graph(dim, capacity=layout.segment_rows, seed=layout.seed),
            tuning or Tuning(),
            costs or Costs(),
        )
        self._columns = Columns()
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._states: list[ProductState] = []
        self._version = 0
        self._wake = threading.Event()
        self._stopping = False
        self._writer: threading.Thread | None = None

    # Records

    def apply(self, records: Sequence[Record]) -> list[Applied]:
        """Apply records in their order; return one outcome each. Never raises for bad data."""
        applied = []
        for record in records:
            with self._lock:
                applied.append(self._apply(record))
        if self._index.pending:
            self._wake.set()
        return applied

    def _apply(self, record: Record) -> Applied:
        slot = self._slots.get(record.product_id)
        state = ProductState(record.product_id) if slot is None else self._states[slot]
        outcome, vectors = self._judge(state, record)
        if outcome is not Outcome.APPLIED:
            return Applied(outcome, state.searchable)
        if slot is None:
            slot = self._slots[record.product_id] = len(self._states)
            self._names.append(record.product_id)
            self._states.append(state)
        self._version += 1
        match record:
            case BaseRecord():
                state = replace(state, base=record)
                self._columns.put_base(slot, record)
            case OfferRecord():
                state = replace(state, offer=record)
                self._columns.put_offer(slot, record)
            case VectorsRecord():
                images = () if vectors is None else record.images
                refs = tuple(ImageRef(image.image_id, image.kind, image.url) for image in images)
                state = replace(state, vectors_order=record.order, images=refs)
                rows = np.empty((0, self.dim), np.float32) if vectors is None else vectors
                self._index.replace(slot, rows, [image.kind for image in images])
        self._states[slot] = state
        self._index.set_live(slot, live=state.searchable)
        return Applied(Outcome.APPLIED, state.searchable)

    def _judge(self, state: ProductState, record: Record) -> tuple[Outcome, FloatArray | None]:
        """Decide whether a record counts; for live vectors return them as unit rows too."""
        match record:
            case BaseRecord():
                known = state.base.order if state.base else None
            case OfferRecord():
                known = state.offer.order if state.offer else None
            case VectorsRecord():
                known = state.vectors_order
        if known is not None and record.order < known:
            return Outcome.STALE, None
        if not isinstance(record, VectorsRecord) or record.deleted:
            return Outcome.APPLIED, None
        if record.model != self.model:
            return Outcome.FOREIGN_MODEL, None
        vectors = unit_rows(record.images, self.dim)
        return (Outcome.INVALID if vectors is None else Outcome.APPLIED), vectors

    # Searches

    def search(self, query: Query) -> Answer:
        """Return the `min(top_k, matches)` best products that satisfy the filters.

        Raises QueryError for a vector of another shape, not finite or zero, and for a
        `top_k` below 1.
        """
        if query.top_k < 1:
            raise QueryError("top_k must be at least 1", field="top_k")
        vector = unit_vector(query.vector, self.dim, field="vector")
        for _ in range(OPTIMISTIC_ATTEMPTS):
            with self._lock:
                version, view = self._version, self._view(query.filters)
            found = self._index.find(view, vector, query.top_k)
            chosen = best(found.candidates, self._names, query.top_k)
            with self._lock:
                holds = version == self._version or self._holds(chosen, found, query)
                sources = self._sources(chosen) if holds else []
            if holds:
                return Answer(hits(chosen, sources), found.plan)
        with self._lock:  # products keep changing under the search: let none change
            found = self._index.find(self._view(query.filters), vector, query.top_k)
            chosen = best(found.candidates, self._names, query.top_k)
            return Answer(hits(chosen, self._sources(chosen)), found.plan)

    def _view(self, filters: Filters) -> View:
        excluded = [self._slots[name] for name in filters.exclude if name in self._slots]
        products = self._columns.matching(
            filters, np.array(excluded, dtype=np.int64), len(self._states)
        )
        return self._index.view(products, filters.image_kind)

    def _holds(self, chosen: Sequence[Candidate], found: Found, query: Query) -> bool:
        """Return whether an answer found without the lock is still true."""
        current = [self._index.rows_of(each.slot) for each in chosen]
        return found.settled and all(
            each.row in rows
            and max(rows) < found.count
            and satisfies(self._states[each.slot], query.filters)
            for each, rows in zip(chosen, current, strict=True)
        )

    def _sources(self, chosen: Sequence[Candidate]) -> list[tuple[ProductState, ImageRef]]:
        """Return what each hit is made of; making it can wait until the lock is free."""
        states = [self._states[each.slot] for each in chosen]
        places = [self._index.rows_of(each.slot).index(each.row) for each in chosen]
        return [(state, state.images[n]) for state, n in zip(states, places, strict=True)]

    # Views

    def vectors_of(self, product_id: str) -> list[tuple[str, FloatArray]]:
        """Return (image id, unit vector) of each picture; nothing for an unknown product."""
        with self._lock:
            slot = self._slots.get(product_id)
            if slot is None:
                return []
            images, vectors = self._states[slot].images, self._index.vectors(slot)
        return [(image.image_id, row) for image, row in zip(images, vectors, strict=True)]

    def product(self, product_id: str) -> ProductState | None:
        """Return what is known of a product, deleted ones included; None if nothing is."""
        with self._lock:
            slot = self._slots.get(product_id)
            return None if slot is None else self._states[slot]

    def known(self, start: int, count: int) -> list[ProductState]:
        """Return up to `count` known products, deleted ones included, from the `start`-th on.

        They stand in the order in which they became known and never change places: slices taken
        one after the other hold each product once.
        """
        with self._lock:
            return self._states[start : start + count]

    def pictured(self, product_id: str) -> tuple[ProductState, FloatArray] | None:
        """Return a product and its vectors, of shape (pictures, dim), as of one moment."""
        with self._lock:
            slot = self._slots.get(product_id)
            return None if slot is None else (self._states[slot], self._index.vectors(slot))

    def stats(self) -> IndexStats:
        """Return the counts of this moment."""
        with self._lock:
            return IndexStats(
                products=self._index.live_products,
                vectors=self._index.live_rows,
                known_products=len(self._states),
                rows=self._index.row_count,
                fresh_rows=self._index.fresh_rows,
                dead_ratio=self._index.dead_ratio,
                segments=self._index.segments,
            )

    # The background writer

    def index_pending(self, batch: int = INDEX_BATCH) -> int:
        """Move up to `batch` fresh rows into the graphs; return 0 when nothing was left."""
        with self._index_lock:
            moved = self._index.index_rows(batch, lambda: self._lock)
        if moved:
            self._hooks.on_indexed(moved)
        return moved

    def start(self) -> None:
        """Start the background writer; a second call does nothing."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="graph-writer", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Stop the background writer after its current batch. Searches go on working."""
        self._stopping = True
        self._wake.set()
        if self._writer is not None:
            self._writer.join()

    def _write(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            try:
                while not self._stopping and self.index_pending():
                    pass
            except Exception as error:  # rows stay fresh and are scanned: right, only slower
                self._hooks.on_error(error)
