"""One search request → one result. Never raises: what goes wrong is an answer with a code."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from schemas.search import (
    IndexInfo,
    QueryImage,
    SearchFault,
    SearchFilters,
    SearchHit,
    SearchPlan,
    SearchRequest,
    SearchResult,
    TookMs,
)
from streams.compute import Priority
from streams.metrics import Metrics
from streams.model import Model, ModelError
from streams.query.pictures import QueryPictures, RequestError
from streams.serving import serving
from visualsearch.engine import Engine
from visualsearch.errors import VisualSearchError
from visualsearch.search.compose import Part, compose
from visualsearch.search.fuse import fused
from visualsearch.types import Answer, Filters, FloatArray, Query


@dataclass(frozen=True, slots=True)
class QueryParts:
    """What a request shows and says, after its shorthands are spelt out."""

    images: list[tuple[str, QueryImage]]
    texts: list[tuple[str, str, float | None]]


class QueryHandler:
    """fetch → embed → search, each timed, all within the request's deadline."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        pictures: QueryPictures,
        metrics: Metrics,
        *,
        watermark: Callable[[], float | None],
        searchers: int = 2,
    ) -> None:
        self._engine = engine
        self._model = model
        self._pictures = pictures
        self._metrics = metrics
        self._watermark = watermark
        self._pool = ThreadPoolExecutor(searchers, thread_name_prefix="search")

    async def answer(self, request: SearchRequest, *, remaining_s: float) -> SearchResult:
        """Answer within `remaining_s` seconds, what is left of the request's deadline."""
        started = time.perf_counter()
        took = TookMs()
        try:
            if remaining_s <= 0:
                raise TimeoutError  # noqa: TRY301 - one answer for every late request
            async with asyncio.timeout(remaining_s):
                answer = await self._search(request, took)
            result = self._result(request.request_id, answer)
        except TimeoutError:
            text = f"no answer within deadline_ms={request.deadline_ms}"
            result = failure(request.request_id, SearchFault("deadline_exceeded", text))
        except RequestError as error:
            result = failure(request.request_id, error.fault)
        except ModelError as error:
            result = failure(request.request_id, SearchFault(error.code, str(error)))
        except VisualSearchError as error:
            result = failure(request.request_id, SearchFault(error.code, str(error), error.field))
        took.total = _ms(started)
        result.took_ms = took
        self._metrics.search.labels("total").observe(took.total / 1000)
        return result

    def close(self) -> None:
        """Stop the search threads."""
        self._pool.shutdown()

    async def _search(self, request: SearchRequest, took: TookMs) -> Answer:
        parts = spell_out(request)
        started = time.perf_counter()
        pictures = await asyncio.gather(
            *(self._pictures.fetch(field, image) for field, image in parts.images)
        )
        took.fetch = self._observe("fetch", started)
        started = time.perf_counter()
        vectors = await self._vectors(request, parts, pictures)
        took.embed = self._observe("embed", started)
        started = time.perf_counter()
        filters = to_filters(request)
        queries = [
            Query(vector, filters, request.top_k, request.recall_target) for vector in vectors
        ]
        run = asyncio.get_running_loop().run_in_executor
        answers = await asyncio.gather(*(run(self._pool, self._engine.search, q) for q in queries))
        answer = fused(answers, request.top_k) if len(answers) > 1 else answers[0]
        took.search = self._observe("search", started)
        self._metrics.plans.labels(answer.plan.strategy).inc()
        self._metrics.selectivity.observe(answer.plan.selectivity)
        return answer

    def _observe(self, stage: str, started: float) -> float:
        elapsed = _ms(started)
        self._metrics.search.labels(stage).observe(elapsed / 1000)
        return elapsed

    async def _vectors(
        self, request: SearchRequest, parts: QueryParts, pictures: list[bytes]
    ) -> list[FloatArray]:
        """Return the vectors to search by: one, or one for each crop of the pictures."""
        images = [
            await self._image_parts(request, field, image, data)
            for (field, image), data in zip(parts.images, pictures, strict=True)
        ]
        texts: list[Part] = []
        if parts.texts:
            rows = await self._model.texts(Priority.QUERY, [text for _, text, _ in parts.texts])
            texts = [Part(v, w, f) for v, (f, _, w) in zip(rows, parts.texts, strict=True)]
        others: list[Part] = []
        if request.query.similar_to is not None:
            others.append(self._stored(request.query.similar_to))
        if request.query.vector is not None:
            given = np.asarray(request.query.vector, dtype=np.float64)
            others.append(Part(given, None, "query.vector"))
        encoder = self._model.encoder
        return [
            compose([*view, *others], texts, dim=encoder.dim, text_weight=encoder.default_alpha)
            for view in (zip(*images, strict=True) if images else [()])
        ]

    async def _image_parts(
        self, request: SearchRequest, field: str, image: QueryImage, data: bytes
    ) -> list[Part]:
        vectors = await self._pictures.vectors(field, data, request.preprocess)
        return [Part(vector, image.weight, field) for vector in vectors]

    def _stored(self, product_id: str) -> Part:
        vectors = [vector for _, vector in self._engine.vectors_of(product_id)]
        if not vectors:
            raise RequestError(
                "product_unknown",
                f"query.similar_to: no pictures of product {product_id!r} are indexed",
                "query.similar_to",
            )
        return Part(np.mean(vectors, axis=0), None, "query.similar_to")

    def _result(self, request_id: str, answer: Answer) -> SearchResult:
        stats, watermark = self._engine.stats(), self._watermark()
        plan = answer.plan
        return SearchResult(
            request_id=request_id,
            status="ok",
            hits=[
                SearchHit(**{name: getattr(hit, name) for name in SearchHit.__struct_fields__})
                for hit in answer.hits
            ],
            plan=SearchPlan(
                strategy=plan.strategy,
                selectivity=plan.selectivity,
                matches=plan.matches,
                visited=plan.visited,
                ef=plan.ef,
            ),
            served_by=serving(plan.strategy),
            index=IndexInfo(
                products=stats.products,
                vectors=stats.vectors,
                model=self._engine.model,
                watermark=None if watermark is None else datetime.fromtimestamp(watermark, UTC),
            ),
        )


def spell_out(request: SearchRequest) -> QueryParts:
    """Spell out the shorthands `image`, `text` and `text_weight`, each part with its field."""
    query = request.query
    images = [(f"query.images[{n}]", image) for n, image in enumerate(query.images)]
    texts = [(f"query.texts[{n}]", t.text, t.weight) for n, t in enumerate(query.texts)]
    if query.image is not None:
        is_url = query.image.startswith(("http://", "https://", "file:"))
        spelt = QueryImage(url=query.image) if is_url else QueryImage(data=query.image)
        images.append(("query.image", spelt))
    if query.text is not None:
        texts.append(("query.text", query.text, query.text_weight))
    elif query.text_weight is not None:
        raise RequestError("field_invalid", "query.text_weight needs query.text",
                           "query.text_weight")  # fmt: skip
    for field, text, _ in texts:
        if not text.strip():
            raise RequestError("field_invalid", f"{field}: no words", field)
    return QueryParts(images, texts)


def to_filters(request: SearchRequest) -> Filters:
    """Return the request's filters as the engine takes them.

    The product of `similar_to` is not an answer to itself.
    """
    given: SearchFilters = request.filters
    exclude = frozenset(given.exclude)
    if request.query.similar_to is not None:
        exclude |= {request.query.similar_to}
    return Filters(
        category=tuple(given.category),
        brand=tuple(given.brand),
        tags=tuple(given.tags),
        price_min=given.price_min,
        price_max=given.price_max,
        in_stock=given.in_stock,
        attributes=given.attributes,
        exclude=exclude,
        image_kind=request.image_kind,
    )


def failure(request_id: str, fault: SearchFault) -> SearchResult:
    """Return the answer to a request that failed."""
    return SearchResult(request_id=request_id, status="error", error=fault)


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
