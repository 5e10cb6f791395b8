"""The embedding lane: fetch → decode → embed, batched; it writes `vectors` records.

The model call, the dear step, is skipped for bytes that it has seen (a bounded, disposable
cache); the record is always written. Of a product that occurs twice in a batch only the newest
event is embedded.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.errors import SchemaError
from schemas.events import ImageSource, Product, ProductDeleted, ProductOfferUpdated
from schemas.records import ImageVector, Vectors
from streams.blobs import SCHEME as BLOB
from streams.compute import Compute, Priority
from streams.dead_letters import Fault
from streams.fetch import Fetched, Fetcher, FetchError, decode_base64
from streams.lanes.attributes import image_id
from streams.lanes.lane import OrderedEvent, Outcome, read_batch
from streams.messages import SourceMessage
from streams.metrics import Metrics
from streams.order import OrderMode
from visualsearch.encoders.protocol import Encoder
from visualsearch.errors import ImageError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Picture:
    """One picture on its way: bytes, then a vector, or a fault."""

    number: int
    source: ImageSource
    fetched: Fetched | None = None
    digest: str = ""
    vector: bytes | None = None
    fault: Fault | None = None


class VectorCache:
    """The newest `size` vectors by content hash: 1 kB each at 512 dimensions."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._vectors: OrderedDict[str, bytes] = OrderedDict()

    def get(self, digest: str) -> bytes | None:
        """Return the vector of these bytes, as float16, if it is known."""
        if (vector := self._vectors.get(digest)) is not None:
            self._vectors.move_to_end(digest)
        return vector

    def put(self, digest: str, vector: bytes) -> None:
        """Keep a vector; the one unused for longest goes."""
        self._vectors[digest] = vector
        if len(self._vectors) > self._size:
            self._vectors.popitem(last=False)


class EmbeddingLane:
    """Waits for hosts and for the model, so that the attribute lane never does."""

    name = "embedding"

    def __init__(
        self,
        mode: OrderMode,
        encoder: Encoder,
        compute: Compute,
        fetcher: Fetcher,
        metrics: Metrics,
        *,
        inline_limit: int,
        batch: int,
        step: int,
    ) -> None:
        self.batch = batch
        self._mode = mode
        self._encoder = encoder
        self._compute = compute
        self._fetcher = fetcher
        self._metrics = metrics
        self._inline_limit = inline_limit
        self._step = step
        self._cache = VectorCache()

    async def process(self, messages: Sequence[SourceMessage]) -> list[Outcome]:
        """Return a `vectors` record for each product event that sets or removes pictures."""
        reads = await asyncio.to_thread(read_batch, messages, self._mode)
        waiting = _by_product(reads)
        tried: dict[str, list[_Picture]] = {}  # by source
        while waiting:
            # The newest of each product; the one before it only if no picture of that can be had,
            # as if they had come one by one.
            current = [events.pop() for events in waiting.values()]
            groups = [[_Picture(n, s) for n, s in enumerate(_images(read))] for read in current]
            tried |= {r.message.source: g for r, g in zip(current, groups, strict=True)}
            await self._load_and_embed([picture for group in groups for picture in group])
            failed = {r.product_id for r, g in zip(current, groups, strict=True) if _all_failed(g)}
            waiting = {p: events for p, events in waiting.items() if events and p in failed}
        return [self._outcome(read, tried) for read in reads]

    def _outcome(
        self, read: OrderedEvent | SchemaError, tried: dict[str, list[_Picture]]
    ) -> Outcome:
        if isinstance(read, SchemaError):
            return Outcome("skipped")  # the attribute lane dead-letters it
        if isinstance(read.event, ProductOfferUpdated):
            return Outcome("skipped", type=read.type)
        if (group := tried.get(read.message.source)) is None:
            return Outcome("superseded", type=read.type)
        if isinstance(read.event, ProductDeleted):
            gone = Vectors(order=read.order, deleted=True)
            return Outcome("indexed", type=read.type, records=[(read.product_id, gone, read)])
        faults = [picture.fault for picture in group if picture.fault is not None]
        if _all_failed(group):
            # Nothing to show: the old vectors stay searchable until new ones are there.
            return Outcome("dead_lettered", type=read.type, faults=faults)
        record = Vectors(
            order=read.order,
            model=self._encoder.model_id,
            images=[_image_vector(p) for p in group if p.vector is not None],
        )
        word = "dead_lettered" if faults else "indexed"
        return Outcome(word, read.type, [(read.product_id, record, read)], faults)

    async def _load_and_embed(self, pictures: list[_Picture]) -> None:
        await asyncio.gather(*(self._load(picture) for picture in pictures))
        await self._embed([p for p in pictures if p.vector is None and p.fault is None])

    async def _load(self, picture: _Picture) -> None:
        source = picture.source
        try:
            if source.data is not None:
                picture.fetched = Fetched(decode_base64(source.data, self._inline_limit))
            else:
                picture.fetched = await self._fetcher.fetch(source.url or "")
        except FetchError as error:
            text = f"{_where(picture)}: {error}"
            picture.fault = Fault("fetch", error.code, text, error.attempts)
            return
        except Exception as error:  # a store's or a client's own: one picture, not the batch
            log.exception("fetching a picture failed")
            picture.fault = Fault("fetch", "fetch_failed", f"{_where(picture)}: {error!r}")
            return
        picture.digest = hashlib.sha256(picture.fetched.data).hexdigest()
        picture.vector = self._cache.get(picture.digest)

    async def _embed(self, pictures: list[_Picture]) -> None:
        """Embed in short steps, so that a query never waits long for the model."""
        for start in range(0, len(pictures), self._step):
            step = pictures[start : start + self._step]
            try:
                await self._embed_step(step)
            except Exception:
                # One bad picture fails the call: find it by giving each a call of its own.
                for picture in step:
                    await self._embed_alone(picture)

    async def _embed_alone(self, picture: _Picture) -> None:
        try:
            await self._embed_step([picture])
        except ImageError as error:
            picture.fault = Fault("image", error.code, f"{_where(picture)}: {error}")
        except Exception as error:
            log.exception("the model failed on a picture")
            picture.fault = Fault("embed", "embed_failed", f"{_where(picture)}: {error!r}")

    async def _embed_step(self, step: list[_Picture]) -> None:
        data = [picture.fetched.data for picture in step if picture.fetched is not None]

        def call() -> tuple[np.ndarray, float]:
            started = time.perf_counter()
            return self._encoder.encode_images(list(data)), time.perf_counter() - started

        vectors, seconds = await self._compute.run(Priority.INDEX, call)
        self._metrics.embed_batch.observe(len(step))
        self._metrics.embed.labels("image").observe(seconds)
        for picture, vector in zip(step, vectors.astype("<f2"), strict=True):
            picture.vector = vector.tobytes()
            self._cache.put(picture.digest, picture.vector)


def _by_product(reads: Sequence[OrderedEvent | SchemaError]) -> dict[str, list[OrderedEvent]]:
    """Group what says something of pictures, each product's events in their order."""
    events: dict[str, list[OrderedEvent]] = {}
    for read in reads:
        if isinstance(read, OrderedEvent) and not isinstance(read.event, ProductOfferUpdated):
            events.setdefault(read.product_id, []).append(read)
    for group in events.values():
        group.sort(key=lambda read: read.order)  # stable: of equals the later one wins
    return events


def _all_failed(pictures: Sequence[_Picture]) -> bool:
    return bool(pictures) and all(picture.fault is not None for picture in pictures)


def _images(read: OrderedEvent) -> list[ImageSource]:
    product = read.event.product
    return product.images if isinstance(product, Product) else []


def _where(picture: _Picture) -> str:
    return f"product.images[{picture.number}]"


def _image_vector(picture: _Picture) -> ImageVector:
    assert picture.vector is not None and picture.fetched is not None  # noqa: S101,PT018 - embedded
    return ImageVector(
        image_id=image_id(picture.number, picture.source),
        vector=picture.vector,
        url=picture.source.url or BLOB + picture.digest,
        content_hash=picture.digest,
        kind=picture.source.kind,
        etag=picture.fetched.etag,
    )
