"""The images of an event: fetched, embedded and, if they are inline, stored.

Bytes that were embedded before skip the model call. An image that its host reports as unchanged
skips the transfer.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from streams.images.blob_writer import FAILED as NOT_STORED
from streams.images.blob_writer import InlineImages
from streams.images.errors import FetchedImage, FetchError
from streams.images.reader import ImageReader
from streams.ingest.dead_letters import Fault
from streams.ingest.retry import Attempt
from streams.model.batcher import Embedded, EmbeddingBatcher
from streams.model.model import ModelError
from visualsearch.contracts.events import ImageSource
from visualsearch.errors import ImageError
from visualsearch.lru import Lru
from visualsearch.types import Guess as Guessed

REMEMBERED = 100_000  # URLs: about 300 bytes each
Guess = Callable[[Sequence[bytes]], Mapping[str, Guessed]]
"""Attributes of a product by the vectors of its images, float16 little-endian."""


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image of an event: its vector, a fault, or both if its bytes are not stored yet."""

    number: int
    source: ImageSource
    embedded: Embedded | None = None
    etag: str | None = None
    fault: Fault | None = None
    transient: bool = False  # a later attempt may succeed

    def failed(
        self, stage: str, code: str, text: object, *, attempts: int = 1, transient: bool = False
    ) -> "ImageResult":
        """Return this result with a fault."""
        fault = Fault(stage, code, f"product.images[{self.number}]: {text}", attempts)
        return replace(self, fault=fault, transient=transient)


@dataclass(frozen=True, slots=True)
class EventImages:
    """A result per image that is not dead-lettered yet, and the guessed attributes."""

    results: Sequence[ImageResult]
    model: str
    attributes: Mapping[str, Guessed]


class ImageVectors:
    """The stage between an event and its record: fetch → embed → guess attributes."""

    def __init__(
        self,
        reader: ImageReader,
        inline: InlineImages,
        embedder: EmbeddingBatcher,
        guess: Guess | None,
    ) -> None:
        self._reader = reader
        self._inline = inline
        self._embedder = embedder
        self._guess = guess
        self._seen = Lru[str, tuple[str, FetchedImage]](
            REMEMBERED
        )  # by URL; a version has no bytes

    async def embed(self, sources: Sequence[ImageSource], attempt: Attempt) -> EventImages:
        """Return a result per image, but not for those that are dead-lettered already."""
        results = await asyncio.gather(*(
            self._result(ImageResult(number, source), retry_tier=attempt.retry_tier)
            for number, source in enumerate(sources)
            if number not in attempt.dead_lettered
        ))  # fmt: skip
        vectors = [result.embedded.vector for result in results if result.embedded is not None]
        guessed = self._guess(vectors) if self._guess is not None else {}
        return EventImages(results, self._embedder.model_id, guessed)

    async def _result(self, image: ImageResult, *, retry_tier: bool) -> ImageResult:
        """Embed an image and, if it is inline, store it concurrently.

        Its vector is written even if its bytes are not stored yet; the event is then retried.
        """
        if image.source.data is None:
            return await self._embedded(image, retry_tier=retry_tier)
        found, missing = await asyncio.gather(
            self._embedded(image, retry_tier=retry_tier), self._inline.store(image.source)
        )
        if missing is None or found.fault is not None:
            return found
        attempts = missing.attempts
        return found.failed("store", NOT_STORED, missing.text, attempts=attempts, transient=True)

    async def _embedded(self, image: ImageResult, *, retry_tier: bool) -> ImageResult:
        url = image.source.url or ""
        digest, version = self._seen.get(url) or ("", None)
        known = self._embedder.cached_vector(digest)
        version = version if known else None  # without a vector the bytes are needed
        try:
            async with self._reader.read(image.source, version, retry_tier=retry_tier) as fetched:
                if fetched is None:  # unchanged
                    return replace(image, embedded=known, etag=version.etag if version else None)
                found = await self._embedder.embed(fetched.data)
        except FetchError as error:
            attempts, transient = error.attempts, error.transient
            return image.failed("fetch", error.code, error, attempts=attempts, transient=transient)
        except ImageError as error:
            return image.failed("image", error.code, error)
        except ModelError as error:
            return image.failed("embed", error.code, error, transient=True)
        if url and (version := fetched.without_data()) is not None:
            self._seen.put(url, (found.digest, version))
        return replace(image, embedded=found, etag=fetched.etag)
