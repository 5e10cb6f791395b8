"""A search pipeline over three products, without Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from streams.images.errors import FetchedImage
from streams.indexer.watermark import Watermark
from streams.metrics import Metrics
from streams.searcher.images import QueryImages
from streams.searcher.look import Detection
from streams.searcher.pipeline import SearchPipeline
from tests.support.fakes import DIM, unit
from tests.support.lane_events import fake_model
from visualsearch.contracts.search import (
    QuerySpec,
    SearchRequest,
)
from visualsearch.engine import Engine
from visualsearch.search.photos import subject_by_grabcut
from visualsearch.types import BaseRecord, ImageVector, VectorsRecord


def request(**query: Any) -> SearchRequest:
    """Return a request with a query."""
    return SearchRequest(request_id="r", query=QuerySpec(**query))


class SlowFetcher:
    """An image host that takes its time."""

    async def fetch(self, _: str) -> FetchedImage:
        """Return never."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@asynccontextmanager
async def search_pipeline() -> AsyncIterator[SearchPipeline]:
    """Give a pipeline over three products whose vectors are those of the words a, b and c."""
    engine = Engine("fake", DIM)
    for name in "abc":
        image = ImageVector("0", unit(name))
        engine.apply([
            BaseRecord(name, (1, 0, 0), title=name),
            VectorsRecord(name, (1, 0, 0), model="fake", images=(image,)),
        ])  # fmt: skip
    model = fake_model()
    images = QueryImages(
        model, SlowFetcher(), limit=4096,  # type: ignore[arg-type]  # a fake
        find_subject=subject_by_grabcut,
    )  # fmt: skip
    pipeline = SearchPipeline(
        engine,
        model,
        images,
        Metrics(CollectorRegistry()),
        watermark=Watermark(1),
        detection=Detection.load(None, None, None),
    )
    try:
        yield pipeline
    finally:
        pipeline.close()
        model.close()
