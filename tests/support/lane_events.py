"""Product events as a pipeline reads them, and images as a host gives them."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from streams.images.circuit_breaker import HostCircuitBreakers
from streams.images.errors import FetchedImage, FetchError
from streams.images.reader import ImageReader, Tier
from streams.ingest.images import ImageVectors
from streams.ingest.latest import LatestOrder
from streams.ingest.order import OrderMode
from streams.ingest.outcome import EventOutcome
from streams.ingest.pipeline import EmbeddingPipeline
from streams.ingest.retry import FIRST, Attempt
from streams.kafka.messages import SourceMessage
from streams.metrics import Metrics
from streams.model.batcher import EmbeddingBatcher
from streams.model.model import Model
from tests.support.fakes import FakeEncoder, jpeg
from visualsearch.contracts.events import ImageSource

LIMIT = 4096  # bytes of an inline image
RED, BLUE = jpeg((255, 0, 0)), jpeg((0, 0, 255))


def message(
    offset: int, kind: str, product_id: str = "p", version: int | None = None, **product: Any
) -> SourceMessage:
    """Return a product event at an offset."""
    if kind in ("product-created", "product-updated"):
        product = {"title": "T", "images": []} | product
    body = {"event_id": "e", "event_type": kind, "occurred_at": "2026-05-01T12:00:00Z",
            "version": offset if version is None else version,
            "product": {"product_id": product_id} | product}  # fmt: skip
    return SourceMessage("t", 0, offset, 1000, product_id.encode(), json.dumps(body).encode())


def inline(data: bytes) -> dict[str, str]:
    """Return an image as an event carries it."""
    return {"data": base64.b64encode(data).decode()}


def fake_model(encoder: FakeEncoder | None = None) -> Model:
    """Return a model over a fake encoder; to be closed."""
    return Model(encoder or FakeEncoder(), Metrics(CollectorRegistry()), threads=2)


class Unstored:
    """Inline images that nobody asks for again."""

    async def store(self, _: ImageSource) -> str | None:
        """Say that all is well."""
        return None


class Written:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[SourceMessage, EventOutcome]] = []

    async def write(
        self, messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
    ) -> None:
        """Keep the outcomes."""
        self.outcomes += zip(messages, outcomes, strict=True)

    def of(self, message: SourceMessage) -> EventOutcome:
        """Return the last outcome of this message."""
        return next(found for source, found in reversed(self.outcomes) if source is message)


def embedding_pipeline(
    mode: OrderMode,
    model: Model,
    fetcher: Any,
    publisher: Any,
    delays_s: Sequence[float] = (),
    inline: Any = None,
) -> EmbeddingPipeline:
    """Return a pipeline with two images per model call and four places in memory."""
    reader = ImageReader(
        fetcher,
        Tier(HostCircuitBreakers(8, 10.0)),
        Tier(HostCircuitBreakers(8, 60.0), 60.0),
        inline_limit=LIMIT,
        in_memory=4,
    )
    images = ImageVectors(reader, inline or Unstored(), EmbeddingBatcher(model, step=2), None)
    return EmbeddingPipeline(mode, images, LatestOrder(), publisher, delays_s=delays_s)


class Embedding:
    """An embedding pipeline whose outcomes are returned instead of written."""

    def __init__(
        self,
        mode: OrderMode,
        model: Model,
        fetcher: Any,
        delays_s: Sequence[float] = (),
        inline: Any = None,
    ) -> None:
        self.written = Written()
        self.inline = inline
        self.pipeline = embedding_pipeline(mode, model, fetcher, self.written, delays_s, inline)

    async def process(self, message: SourceMessage, attempt: Attempt = FIRST) -> EventOutcome:
        """Return what became of an event."""
        await self.pipeline.handle(message, attempt)
        return self.written.of(message)


class Pictures:
    """A fetcher over a dict; anything else is a 404."""

    def __init__(self, **pictures: bytes | Exception) -> None:
        self.pictures = pictures
        self.asked: list[tuple[str, float | None]] = []
        self.etag = '"1"'
        self.unchanged = 0  # of these, answered without the image

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> FetchedImage:
        """Return the image, or raise what is there instead of it."""
        self.asked.append((url, timeout_s))
        found = self.pictures.get(url, FetchError("image_http_404", "absent", attempts=2))
        if isinstance(found, Exception):
            raise found
        return FetchedImage(found, etag=self.etag)

    async def fetch_changed(
        self, url: str, known: FetchedImage, *, timeout_s: float | None = None
    ) -> FetchedImage | None:
        """Return the image unless it is still of the version that is known."""
        fetched = await self.fetch(url, timeout_s=timeout_s)
        if fetched.etag != known.etag:
            return fetched
        self.unchanged += 1
        return None
