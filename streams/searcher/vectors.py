"""What a request shows and says → the vectors to search by."""

import numpy as np

from streams.model.model import Model
from streams.model.priority_pool import Priority
from streams.searcher.images import QueryPictures, RequestError
from streams.searcher.request import QueryParts, likened
from visualsearch.contracts.search import QueryImage, SearchRequest
from visualsearch.engine import Engine
from visualsearch.search.align import LEAST_KNOWN, aligned
from visualsearch.search.compose import Composed, Part, composed
from visualsearch.types import FloatArray


class QueryVectors:
    """Embeds the parts of a request and composes them."""

    def __init__(self, engine: Engine, model: Model, pictures: QueryPictures) -> None:
        self._engine = engine
        self._model = model
        self._pictures = pictures

    async def of(
        self, request: SearchRequest, parts: QueryParts, pictures: list[bytes]
    ) -> list[Composed]:
        """Return the vectors to search by: one, or one for each crop of the pictures.

        Raises RequestError, ModelError, QueryError.
        """
        usual = self._usual(request, parts)
        images = [
            await self._image_parts(request, field, image, data, usual)
            for (field, image), data in zip(parts.images, pictures, strict=True)
        ]
        texts = await self.texts(parts)
        others = [self._stored(field, name) for field, name in likened(request.query)]
        if request.query.vector is not None:
            given = np.asarray(request.query.vector, dtype=np.float64)
            others.append(Part(given, None, "query.vector"))
        encoder = self._model.encoder
        return [
            composed([*view, *others], texts, dim=encoder.dim, text_weight=encoder.default_alpha)
            for view in (zip(*images, strict=True) if images else [()])
        ]

    async def texts(self, parts: QueryParts) -> list[Part]:
        """Return the request's words as parts of its query."""
        if not parts.texts:
            return []
        rows = await self._model.texts(Priority.QUERY, [text for _, text, _ in parts.texts])
        return [Part(v, w, f) for v, (f, _, w) in zip(rows, parts.texts, strict=True)]

    def _usual(self, request: SearchRequest, parts: QueryParts) -> FloatArray | None:
        """Return what photos have in common, if the request wants that taken from its own."""
        if not request.preprocess.align or not parts.images:
            return None
        mean, known = self._engine.kind_mean("lifestyle")
        if known < LEAST_KNOWN:
            raise RequestError(
                "alignment_unknown",
                f"preprocess.align: the index holds {known} lifestyle pictures, and what they have "
                f"in common is told from {LEAST_KNOWN}; publish some, or leave it out",
                "preprocess.align",
            )
        return mean

    async def _image_parts(
        self,
        request: SearchRequest,
        field: str,
        image: QueryImage,
        data: bytes,
        usual: FloatArray | None,
    ) -> list[Part]:
        vectors = await self._pictures.vectors(field, data, request.preprocess)
        if usual is not None:
            vectors = aligned(vectors, usual)
        return [Part(vector, image.weight, field) for vector in vectors]

    def _stored(self, field: str, product_id: str) -> Part:
        vectors = [vector for _, vector in self._engine.vectors_of(product_id)]
        if not vectors:
            raise RequestError(
                "product_unknown",
                f"{field}: no pictures of product {product_id!r} are indexed; "
                "visualsearch explain says why",
                field,
            )
        return Part(np.mean(vectors, axis=0), None, field)
