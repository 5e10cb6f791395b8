"""Query vectors: a request's images, texts, products and vectors, embedded and composed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.model.model import Model
from streams.model.priority_pool import Priority
from streams.searcher.images import QueryImages
from streams.searcher.request import ParsedRequest, RequestError
from visualsearch.contracts.search import QueryImage
from visualsearch.engine import Engine
from visualsearch.search.align import LEAST_KNOWN, remove_photo_mean
from visualsearch.search.compose import ComposedQuery, QueryPart, compose_query
from visualsearch.search.look.regions import Region
from visualsearch.types import Filters, FloatArray


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """One query of the index; a product has the score of its nearest view."""

    views: Sequence[ComposedQuery]
    filters: Filters
    region: Region | None = None  # of the photo, in mode look


class QueryVectors:
    """Embeds the parts of a request and composes them."""

    def __init__(self, engine: Engine, model: Model, images: QueryImages) -> None:
        self._engine = engine
        self._model = model
        self._images = images

    async def embed(self, parsed: ParsedRequest, images: Sequence[bytes]) -> list[IndexQuery]:
        """Return one query, with one view, or a view for each crop of the images.

        Raises RequestError, ModelError, QueryError.
        """
        mean = self._photo_mean(parsed)
        embedded = [
            await self._image_parts(parsed, field, image, data, mean)
            for (field, image), data in zip(parsed.images, images, strict=True)
        ]
        texts = await self.texts(parsed)
        others = [self._product_part(field, name) for field, name in parsed.similar_to]
        if parsed.request.query.vector is not None:
            vector = np.asarray(parsed.request.query.vector, dtype=np.float64)
            others.append(QueryPart(vector, None, "query.vector"))
        views = [
            self.compose([*view, *others], texts)
            for view in (zip(*embedded, strict=True) if embedded else [()])
        ]
        return [IndexQuery(views, parsed.filters)]

    async def texts(self, parsed: ParsedRequest) -> list[QueryPart]:
        """Return the request's texts as embedded query parts. Raises ModelError."""
        if not parsed.texts:
            return []
        rows = await self._model.texts(Priority.QUERY, [text for _, text, _ in parsed.texts])
        return [QueryPart(v, w, f) for v, (f, _, w) in zip(rows, parsed.texts, strict=True)]

    def compose(self, images: Sequence[QueryPart], texts: Sequence[QueryPart]) -> ComposedQuery:
        """Return one view of the parts, weighted as the encoder asks. Raises QueryError."""
        encoder = self._model.encoder
        return compose_query(images, texts, dim=encoder.dim, text_weight=encoder.default_alpha)

    def _photo_mean(self, parsed: ParsedRequest) -> FloatArray | None:
        """Return the mean vector of lifestyle photos if the request wants alignment, else None.

        Raises RequestError `alignment_unknown`.
        """
        if not parsed.request.preprocess.align or not parsed.images:
            return None
        mean, known = self._engine.kind_mean("lifestyle")
        if known < LEAST_KNOWN:
            raise RequestError(
                "alignment_unknown",
                f"preprocess.align: the index holds {known} lifestyle images, and their mean needs "
                f"{LEAST_KNOWN}; publish some, or leave it out",
                "preprocess.align",
            )
        return mean

    async def _image_parts(
        self,
        parsed: ParsedRequest,
        field: str,
        image: QueryImage,
        data: bytes,
        mean: FloatArray | None,
    ) -> list[QueryPart]:
        vectors = await self._images.vectors(field, data, parsed.request.preprocess)
        if mean is not None:
            vectors = remove_photo_mean(vectors, mean)
        return [QueryPart(vector, image.weight, field) for vector in vectors]

    def _product_part(self, field: str, product_id: str) -> QueryPart:
        vectors = [vector for _, vector in self._engine.vectors_of(product_id)]
        if not vectors:
            raise RequestError(
                "product_unknown",
                f"{field}: no images of product {product_id!r} are indexed; "
                "visualsearch explain says why",
                field,
            )
        return QueryPart(np.mean(vectors, axis=0), None, field)
