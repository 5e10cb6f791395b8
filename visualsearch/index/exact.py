"""The exact twin of the engine: dictionaries and a full sort, the oracle of its tests.

Slow on purpose: nothing here is clever, so that what it says can be believed.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from visualsearch.index.rows import stored, unit_rows
from visualsearch.index.state import ImageRef, ProductState, satisfies
from visualsearch.search.compose import unit_vector
from visualsearch.types import (
    Answer,
    Applied,
    BaseRecord,
    FloatArray,
    Hit,
    OfferRecord,
    Outcome,
    Plan,
    Query,
    Record,
    VectorsRecord,
)


class ExactIndex:
    """Products in dictionaries, with the same `apply`, `search` and views as the engine."""

    def __init__(self, model: str, dim: int) -> None:
        self.model = model
        self.dim = dim
        self._base: dict[str, BaseRecord] = {}
        self._offer: dict[str, OfferRecord] = {}
        self._vectors: dict[str, VectorsRecord] = {}

    def apply(self, records: Sequence[Record]) -> list[Applied]:
        """Apply records in their order; return one outcome each."""
        return [self._apply(record) for record in records]

    def _apply(self, record: Record) -> Applied:
        outcome = Outcome.APPLIED
        match record:
            case BaseRecord():
                if _older(record, self._base):
                    outcome = Outcome.STALE
                else:
                    self._base[record.product_id] = record
            case OfferRecord():
                if _older(record, self._offer):
                    outcome = Outcome.STALE
                else:
                    self._offer[record.product_id] = record
            case VectorsRecord():
                if _older(record, self._vectors):
                    outcome = Outcome.STALE
                elif not record.deleted and record.model != self.model:
                    outcome = Outcome.FOREIGN_MODEL
                elif not record.deleted and unit_rows(record.images, self.dim) is None:
                    outcome = Outcome.INVALID
                else:
                    self._vectors[record.product_id] = record
        state = self.product(record.product_id)
        return Applied(outcome, state is not None and state.searchable)

    def product(self, product_id: str) -> ProductState | None:
        """Return what is known of a product; None if nothing is."""
        base, offer = self._base.get(product_id), self._offer.get(product_id)
        vectors = self._vectors.get(product_id)
        if base is None and offer is None and vectors is None:
            return None
        images = () if vectors is None or vectors.deleted else vectors.images
        refs = tuple(ImageRef(image.image_id, image.kind, image.url) for image in images)
        guesses = {} if vectors is None or vectors.deleted else vectors.guessed
        order = vectors.order if vectors else None
        return ProductState(product_id, base, offer, order, refs, guesses)

    def vectors_of(self, product_id: str) -> list[tuple[str, FloatArray]]:
        """Return (image id, unit vector) of each picture; nothing for an unknown product."""
        record = self._vectors.get(product_id)
        if record is None or record.deleted:
            return []
        rows = unit_rows(record.images, self.dim)
        assert rows is not None  # noqa: S101 - `apply` kept no other record
        whole, scales = stored(rows)  # what is kept is what is scored
        kept = whole.astype(np.float32) * scales[:, None]
        return [(image.image_id, row) for image, row in zip(record.images, kept, strict=True)]

    def search(self, query: Query) -> Answer:
        """Return the best products by a sort of everything that satisfies the filters."""
        vector = unit_vector(query.vector, self.dim, field="vector").astype(np.float64)
        hits: list[Hit] = []
        matching = live = 0
        for product_id in self._base:
            state = self.product(product_id)
            if state is None or not state.searchable:
                continue
            live += len(state.images)
            if not satisfies(state, query.filters):
                continue
            kind = query.filters.image_kind
            scored = [
                (float((row * vector).sum()), place)
                for place, ((_, row), image) in enumerate(
                    zip(self.vectors_of(product_id), state.images, strict=True)
                )
                if kind is None or image.kind == kind
            ]
            matching += len(scored)
            if scored:
                score, place = max(scored, key=lambda each: each[0])
                hits.append(Hit(score, state, place))
        hits.sort(key=lambda hit: (-hit.score, hit.product_id))
        strategy: Literal["exact", "empty"] = "exact" if hits else "empty"
        plan = Plan(strategy, matching / live if live else 0.0, len(hits), matching)
        return Answer(tuple(hits[: query.top_k]), plan)


def _older(record: Record, known: Mapping[str, Record]) -> bool:
    """Return whether a strictly newer record of the same product and kind is known."""
    former = known.get(record.product_id)
    return former is not None and record.order < former.order
