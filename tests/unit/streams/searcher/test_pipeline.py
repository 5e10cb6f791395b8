"""The search pipeline with fakes: weights, stages and deadlines."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from streams.searcher.pipeline import SearchPipeline
from streams.searcher.request import parse
from tests.support.search_pipeline import request, search_pipeline
from visualsearch.contracts.search import (
    QuerySpec,
    QueryText,
    SearchFilters,
    SearchRequest,
)


@pytest.fixture
async def pipeline() -> AsyncIterator[SearchPipeline]:
    """Give a pipeline over products whose vectors are those of the words a, b and c."""
    async with search_pipeline() as pipeline:
        yield pipeline


async def test_weights_steer_the_query(pipeline: SearchPipeline) -> None:
    """The heavier word wins; a negative one puts its product last."""
    texts = [QueryText("a", weight=1.0), QueryText("b", weight=3.0), QueryText("c", weight=-2.0)]
    result = await pipeline.answer(request(texts=texts), remaining_s=5)
    assert [hit.product_id for hit in result.hits] == ["b", "a", "c"]


@pytest.mark.parametrize("remaining_s", [0.05, 0.0, -3.0])
async def test_a_deadline_is_kept(pipeline: SearchPipeline, remaining_s: float) -> None:
    """Also one that had passed before."""
    started = asyncio.get_running_loop().time()
    result = await pipeline.answer(request(image="http://slow/"), remaining_s=remaining_s)
    assert result.error is not None
    assert (result.error.code, result.hits) == ("deadline_exceeded", [])
    assert asyncio.get_running_loop().time() - started < 10.0
    assert result.took_ms.total < 10_000


async def test_each_stage_is_timed(pipeline: SearchPipeline) -> None:
    """In the result and in the metrics; a stage that fails is in neither."""
    result = await pipeline.answer(request(text="a"), remaining_s=5)
    took = result.took_ms
    assert min(took.fetch, took.embed, took.search) > 0
    assert took.total >= took.fetch + took.embed + took.search
    late = await pipeline.answer(request(image="http://slow/"), remaining_s=0.05)
    assert (late.took_ms.fetch, late.took_ms.embed, late.took_ms.search) == (0, 0, 0)
    counts = {
        stage: pipeline._metrics.registry.get_sample_value(
            "visualsearch_search_seconds_count", {"stage": stage}
        )
        for stage in ("fetch", "embed", "search", "total")
    }
    assert counts == {"fetch": 1, "embed": 1, "search": 1, "total": 2}


async def test_a_varied_search_looks_at_the_clock_itself(pipeline: SearchPipeline) -> None:
    """No cancellation reaches a search thread: it would go on for nobody."""
    parsed = parse(
        SearchRequest(request_id="r", query=QuerySpec(text="a"), diversity=0.5, deadline_ms=10)
    )
    queries = await pipeline._vectors.embed(parsed, [])
    found = await pipeline._index.search(parsed, queries, time.perf_counter() + 30)
    assert found.answers[0].hits[0].product_id == "a"
    with pytest.raises(TimeoutError):
        await pipeline._index.search(parsed, queries, time.perf_counter() - 1)


async def test_hints_come_where_nothing_is_found(pipeline: SearchPipeline) -> None:
    """And nowhere else."""
    found = await pipeline.answer(request(text="a"), remaining_s=5)
    assert (len(found.hits), found.hints) == (3, [])
    wanted = SearchRequest(
        request_id="r", query=QuerySpec(text="a"), filters=SearchFilters(brand=["Adidaas"])
    )
    nothing = await pipeline.answer(wanted, remaining_s=5)
    assert nothing.hits == []
    assert [(hint.field, hint.value) for hint in nothing.hints] == [("filters.brand[0]", "Adidaas")]
