"""Runs the searches of a request on a thread pool, and their explanations."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from streams.indexer.active_engine import ActiveEngine, active_engine
from streams.indexer.watermark import Watermark
from streams.metrics import Metrics
from streams.searcher.explain import Answered, explain_hits, explain_products
from streams.searcher.request import ParsedRequest
from streams.searcher.vectors import IndexQuery
from visualsearch.contracts.search import IndexInfo, SearchRequest, SearchResult
from visualsearch.engine import Engine
from visualsearch.search.fuse import fuse_answers
from visualsearch.search.hints import Hint
from visualsearch.search.varied import diversify
from visualsearch.types import Answer, Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to each query of a request, and hints if none has a hit."""

    parsed: ParsedRequest
    queries: Sequence[IndexQuery]
    answers: Sequence[Answer]
    hints: Sequence[Hint]
    index: IndexInfo
    served_by: ActiveEngine | None  # None for several queries


class IndexSearch:
    """Searches the live index for whole requests."""

    def __init__(
        self, engine: Engine, metrics: Metrics, watermark: Watermark, *, threads: int
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._watermark = watermark
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="search")

    async def search(
        self, parsed: ParsedRequest, queries: Sequence[IndexQuery], deadline: float
    ) -> Found:
        """Answer the queries one by one; `deadline` is a time of `perf_counter`."""
        answers = [await self._answer(parsed.request, query, deadline) for query in queries]
        hints: Sequence[Hint] = ()
        if not any(answer.hits for answer in answers):
            hints = await self._run(lambda: self._engine.hints(parsed.filters))
        served_by = active_engine(answers[0].plan.strategy) if len(answers) == 1 else None
        return Found(parsed, queries, answers, hints, self._index_info(), served_by)

    async def explain(self, found: Found, result: SearchResult) -> None:
        """Add explanations of the hits and of the products that the request names."""
        (query,), (answer,) = found.queries, found.answers
        answered = Answered(found.parsed.request, query, answer)
        await self._run(lambda: explain_hits(self._engine, answered, result.hits))
        result.explained = await self._run(lambda: explain_products(self._engine, answered))

    def close(self) -> None:
        """Stop the search threads."""
        self._pool.shutdown()

    async def _answer(self, request: SearchRequest, query: IndexQuery, deadline: float) -> Answer:
        """Return the products nearest to any view, diversified if requested."""
        queries = [
            Query(view.vector, query.filters, request.top_k, request.recall_target)
            for view in query.views
        ]
        if request.diversity or request.collapse_duplicates:
            answer = await self._run(lambda: self._diversified(request, queries, deadline))
        else:
            answer = await self._fused(queries, request.top_k)
        self._metrics.plans.labels(answer.plan.strategy).inc()
        self._metrics.selectivity.observe(answer.plan.selectivity)
        return answer

    async def _fused(self, queries: Sequence[Query], top_k: int) -> Answer:
        """Search for all views concurrently; a product has its best score."""
        if len(queries) == 1:
            return await self._run(lambda: self._engine.search(queries[0]))
        searches = (self._run(lambda q=q: self._engine.search(q)) for q in queries)  # type: ignore[misc]
        return fuse_answers(await asyncio.gather(*searches), top_k)

    def _diversified(
        self, request: SearchRequest, queries: Sequence[Query], deadline: float
    ) -> Answer:
        """Diversify and collapse. Checks the deadline itself: a thread cannot be cancelled."""

        def find(count: int) -> Answer:
            if time.perf_counter() > deadline:
                raise TimeoutError
            return fuse_answers(
                [self._engine.search(replace(q, top_k=count)) for q in queries], count
            )

        return diversify(
            find, self._engine.hit_vectors, request.top_k,
            diversity=request.diversity, collapse=request.collapse_duplicates,
        )  # fmt: skip

    async def _run(self, work: Callable[[], T]) -> T:
        """Do work on one of the search threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _index_info(self) -> IndexInfo:
        # Not `stats()`, which visits every row that is not in a graph yet.
        (products, vectors), watermark = self._engine.size, self._watermark.time_s
        return IndexInfo(
            products=products,
            vectors=vectors,
            model=self._engine.model,
            watermark=None if watermark is None else datetime.fromtimestamp(watermark, UTC),
        )
