"""One search request → one result. Never raises: what goes wrong is an answer with a code."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from streams.indexer.serving import serving
from streams.metrics import Metrics
from streams.model.model import Model, ModelError
from streams.searcher.explain import Asked, explain_hits, explain_products
from streams.searcher.images import QueryPictures, RequestError
from streams.searcher.look import Detection, Look, of_all
from streams.searcher.request import QueryParts, spell_out, to_filters
from streams.searcher.result import look_region, search_hint, search_hit, search_plan
from streams.searcher.vectors import QueryVectors
from visualsearch.contracts.search import (
    IndexInfo,
    SearchFault,
    SearchHint,
    SearchRequest,
    SearchResult,
    TookMs,
)
from visualsearch.engine import Engine
from visualsearch.errors import VisualSearchError
from visualsearch.search.fuse import fused
from visualsearch.search.varied import varied
from visualsearch.types import Answer, Filters, FloatArray, Query

T = TypeVar("T")


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
        detection: Detection,
        searchers: int = 2,
    ) -> None:
        self._engine = engine
        self._pictures = pictures
        self._metrics = metrics
        self._watermark = watermark
        self._vectors = QueryVectors(engine, model, pictures)
        self._look = Look(engine, model, pictures, detection)
        self._pool = ThreadPoolExecutor(searchers, thread_name_prefix="search")

    async def answer(self, request: SearchRequest, *, remaining_s: float) -> SearchResult:
        """Answer within `remaining_s` seconds, what is left of the request's deadline."""
        started = time.perf_counter()
        took = TookMs()
        try:
            if remaining_s <= 0:
                raise TimeoutError  # noqa: TRY301 - one answer for every late request
            async with asyncio.timeout(remaining_s):
                result = await self._answer(request, took, started + remaining_s)
        except TimeoutError:
            text = f"no answer within deadline_ms={request.deadline_ms}; give it more"
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

    async def _answer(
        self, request: SearchRequest, took: TookMs, give_up_at: float
    ) -> SearchResult:
        parts = spell_out(request)
        started = time.perf_counter()
        fetches = [self._pictures.fetch(field, image) for field, image in parts.images]
        pictures = await asyncio.gather(*fetches) if fetches else []
        took.fetch = self._observe("fetch", started)
        if request.mode == "look":
            return await self._look_for(request, parts, pictures[0], took, give_up_at)
        started = time.perf_counter()
        views = await self._vectors.of(request, parts, pictures)
        took.embed = self._observe("embed", started)
        started = time.perf_counter()
        filters = to_filters(request)
        answer = await self._find(request, [view.vector for view in views], filters, give_up_at)
        result = self._result(request.request_id, answer)
        if not answer.hits:
            result.hints = await self._hints(filters)
        took.search = self._observe("search", started)
        if request.explain:
            await self._explain(Asked(request, views, filters, answer), result)
        return result

    async def _explain(self, asked: Asked, result: SearchResult) -> None:
        """Add to an answer why its hits are hits, and why the named products are or are not."""
        await self._run(lambda: explain_hits(self._engine, asked, result.hits))
        result.explained = await self._run(lambda: explain_products(self._engine, asked))

    async def _look_for(
        self,
        request: SearchRequest,
        parts: QueryParts,
        data: bytes,
        took: TookMs,
        give_up_at: float,
    ) -> SearchResult:
        started = time.perf_counter()
        regions = await self._look.regions(request, parts, data)
        texts = await self._vectors.texts(parts)
        took.embed = self._observe("embed", started)
        started = time.perf_counter()

        async def find(
            request: SearchRequest, vectors: Sequence[FloatArray], filters: Filters
        ) -> Answer:
            return await self._find(request, vectors, filters, give_up_at)

        found = await self._look.search(request, parts, regions, texts, find)
        result = self._result(request.request_id, None)
        result.hits = [search_hit(hit) for hit in of_all(found, request.top_k)]
        result.regions = [look_region(each.region, each.hits, each.plan) for each in found]
        if not result.hits:
            result.hints = await self._hints(to_filters(request))
        took.search = self._observe("search", started)
        return result

    async def _find(
        self,
        request: SearchRequest,
        vectors: Sequence[FloatArray],
        filters: Filters,
        give_up_at: float,
    ) -> Answer:
        """Return the products nearest to one of the vectors, varied if the request wants that."""
        asked = Query(vectors[0], filters, request.top_k, request.recall_target)
        queries = [replace(asked, vector=vector) for vector in vectors]
        if request.diversity or request.collapse_duplicates:
            answer = await self._run(lambda: self._varied(request, queries, give_up_at))
        else:
            answer = await self._searched(queries, request.top_k)
        self._metrics.plans.labels(answer.plan.strategy).inc()
        self._metrics.selectivity.observe(answer.plan.selectivity)
        return answer

    async def _searched(self, queries: Sequence[Query], top_k: int) -> Answer:
        """Search for each view of the query side by side; a product counts by its best."""
        if len(queries) == 1:
            return await self._run(lambda: self._engine.search(queries[0]))
        searches = (self._run(lambda q=q: self._engine.search(q)) for q in queries)  # type: ignore[misc]
        return fused(await asyncio.gather(*searches), top_k)

    def _varied(
        self, request: SearchRequest, queries: Sequence[Query], give_up_at: float
    ) -> Answer:
        """Run on a search thread, which no cancellation reaches: it looks at the clock itself."""

        def find(count: int) -> Answer:
            if time.perf_counter() > give_up_at:
                raise TimeoutError
            return fused([self._engine.search(replace(q, top_k=count)) for q in queries], count)

        return varied(
            find, self._engine.pictures, request.top_k,
            diversity=request.diversity, collapse=request.collapse_duplicates,
        )  # fmt: skip

    async def _hints(self, filters: Filters) -> list[SearchHint]:
        found = await self._run(lambda: self._engine.hints(filters))
        return [search_hint(hint) for hint in found]

    async def _run(self, work: Callable[[], T]) -> T:
        """Do work on one of the search threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _observe(self, stage: str, started: float) -> float:
        elapsed = _ms(started)
        self._metrics.search.labels(stage).observe(elapsed / 1000)
        return elapsed

    def _result(self, request_id: str, answer: Answer | None) -> SearchResult:
        """Return an answer as a result, or what every result says, for regions to be put in."""
        # Not `stats()`, which looks at every row that waits for a graph.
        (products, vectors), watermark = self._engine.size, self._watermark()
        result = SearchResult(
            request_id=request_id,
            status="ok",
            index=IndexInfo(
                products=products,
                vectors=vectors,
                model=self._engine.model,
                watermark=None if watermark is None else datetime.fromtimestamp(watermark, UTC),
            ),
        )
        if answer is not None:
            result.hits = [search_hit(hit) for hit in answer.hits]
            result.plan = search_plan(answer.plan)
            result.served_by = serving(answer.plan.strategy)
        return result


def failure(request_id: str, fault: SearchFault) -> SearchResult:
    """Return the answer to a request that failed."""
    return SearchResult(request_id=request_id, status="error", error=fault)


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
