"""One search request → one result: images → vectors → search, all within its deadline."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streams.indexer.watermark import Watermark
from streams.metrics import Metrics
from streams.model.model import Model, ModelError
from streams.searcher.images import QueryImages
from streams.searcher.look import Detection, LookSearch
from streams.searcher.request import RequestError, parse
from streams.searcher.result import failure, to_result
from streams.searcher.search import IndexSearch
from streams.searcher.vectors import QueryVectors
from visualsearch.contracts.search import SearchFault, SearchRequest, SearchResult, TookMs
from visualsearch.engine import Engine
from visualsearch.errors import VisualSearchError


class SearchPipeline:
    """The stages of a request, each timed."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        images: QueryImages,
        metrics: Metrics,
        *,
        watermark: Watermark,
        detection: Detection,
        threads: int = 2,
    ) -> None:
        self._metrics = metrics
        self._images = images
        self._vectors = QueryVectors(engine, model, images)
        self._look = LookSearch(engine, model, images, self._vectors, detection)
        self._index = IndexSearch(engine, metrics, watermark, threads=threads)

    async def answer(self, request: SearchRequest, *, remaining_s: float) -> SearchResult:
        """Answer within `remaining_s` seconds; errors become results with an error code."""
        started = time.perf_counter()
        took = TookMs()
        try:
            if remaining_s <= 0:
                raise TimeoutError  # noqa: TRY301 - one answer for every late request
            async with asyncio.timeout(remaining_s):
                result = await self._search(request, started + remaining_s, took)
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

    async def _search(self, request: SearchRequest, deadline: float, took: TookMs) -> SearchResult:
        parsed = parse(request)
        with self._timed("fetch", took):
            images = await self._images.fetch(parsed)
        with self._timed("embed", took):
            embedding = self._look if request.mode == "look" else self._vectors
            queries = await embedding.embed(parsed, images)
        with self._timed("search", took):
            found = await self._index.search(parsed, queries, deadline)
            result = to_result(found)
        if request.explain:
            await self._index.explain(found, result)
        return result

    def close(self) -> None:
        """Stop the search threads."""
        self._index.close()

    @contextmanager
    def _timed(self, stage: str, took: TookMs) -> Iterator[None]:
        """Record the time of a stage in ms, unless it fails."""
        started = time.perf_counter()
        yield
        elapsed = _ms(started)
        setattr(took, stage, elapsed)
        self._metrics.search.labels(stage).observe(elapsed / 1000)


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
