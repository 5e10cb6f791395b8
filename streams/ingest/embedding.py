"""The embedding lane: fetch → decode → embed; it writes `vectors` records.

Events are worked on side by side. One whose pictures cannot be had just now goes to
`product-retry` and keeps nobody waiting; one whose pictures never can is dead-lettered. The model
call, the dear step, is skipped for bytes that it has seen; the record is always written.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from streams.images.blob_writer import FAILED as NOT_STORED
from streams.images.blob_writer import InlineImages
from streams.images.blobs import SCHEME as BLOB
from streams.images.errors import FetchError
from streams.ingest.attributes import image_id
from streams.ingest.dead_letters import Fault
from streams.ingest.images import Embedded, Pictures
from streams.ingest.latest import Newest
from streams.ingest.order import OrderMode
from streams.ingest.outcome import Entry, OrderedEvent, Outcome, read_event
from streams.ingest.retry import FIRST, Attempt, Retry
from streams.kafka.messages import SourceMessage
from streams.model.model import ModelError
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import ImageSource, Product, ProductDeleted, ProductOfferUpdated
from visualsearch.contracts.records import ImageVector, Vectors
from visualsearch.errors import ImageError
from visualsearch.types import Guess as Guessed

Guess = Callable[[Sequence[bytes]], Mapping[str, Guessed]]
"""Attributes of a product by the vectors of its pictures, float16 little-endian."""

LARGE = 64 * 1024  # bytes; decoding more would be felt on the event loop
# An image that was never asked for is tried again for longer than an outage of a long weekend,
# and no longer than a topic's usual retention: its host may be gone for good.
UNASKED_S = 7 * 86_400.0


@dataclass(slots=True)
class _Picture:
    """One picture of an event: its vector, a fault, or both if its bytes are not stored yet."""

    number: int
    source: ImageSource
    found: Embedded | None = None
    fault: Fault | None = None
    transient: bool = False


class EmbeddingLane:
    """Waits for hosts and for the model, so that the attribute lane never does.

    `delays_s` are the pauses before each further round, the last of which ends in a dead letter.
    A round in which nothing was asked of the host, or of the blob store, does not count, for
    `UNASKED_S` at most.
    """

    name = "embedding"

    def __init__(
        self,
        mode: OrderMode,
        pictures: Pictures,
        inline: InlineImages,
        newest: Newest,
        *,
        delays_s: Sequence[float],
        guess: Guess | None = None,
        jitter: Callable[[], float] = lambda: 1.0,  # the publisher has its own
    ) -> None:
        self._mode = mode
        self._pictures = pictures
        self._inline = inline
        self._delays_s = delays_s
        self._jitter = jitter
        self._newest = newest
        self._guess = guess

    async def process(self, message: SourceMessage, attempt: Attempt = FIRST) -> Outcome:
        """Return a `vectors` record for a product event that sets or removes pictures."""
        try:
            if message.size < LARGE:
                read = read_event(message, self._mode)
            else:
                read = await asyncio.to_thread(read_event, message, self._mode)
        except SchemaError:
            return Outcome("skipped")  # the attribute lane dead-letters it
        read = replace(read, retried=attempt.retry_tier)
        if isinstance(read.event, ProductOfferUpdated):
            return Outcome("skipped", type=read.type)
        if self._newest.outdated(read.product_id, read.order):
            return Outcome("superseded", type=read.type)
        if isinstance(read.event, ProductDeleted):
            gone = Vectors(order=read.order, deleted=True)
            return Outcome("indexed", type=read.type, records=[(read.product_id, gone, read)])
        pictures = [_Picture(n, source) for n, source in enumerate(_images(read))]
        wanted = [picture for picture in pictures if picture.number not in attempt.dead_lettered]
        await asyncio.gather(*(self._embed_and_store(p, attempt) for p in wanted))
        return self._outcome(read, pictures, attempt)

    def _outcome(self, read: OrderedEvent, pictures: list[_Picture], attempt: Attempt) -> Outcome:
        good = [picture for picture in pictures if picture.found is not None]
        records: list[Entry] = []
        if good or not pictures:  # else the old vectors stay searchable until new ones are there
            images = [_image_vector(picture) for picture in good]
            record = Vectors(order=read.order, model=self._pictures.model_id, images=images)
            if self._guess is not None:
                guessed = self._guess([image.vector for image in images])
                record.attributes = {name: one.value for name, one in guessed.items()}
                record.confidences = {name: one.confidence for name, one in guessed.items()}
            records.append((read.product_id, record, read))
        faulty = {p.number: p.fault for p in pictures if p.fault is not None}
        rounds = self._rounds([p for p in pictures if p.transient], attempt)
        retry = self._retry(rounds, faulty, attempt) if rounds else None
        faults = [
            replace(fault, attempts=fault.attempts + attempt.tries)
            for number, fault in faulty.items()
            if number not in rounds
        ]
        word = "retried" if retry else "dead_lettered" if faults else "indexed"
        return Outcome(word, read.type, records, faults, retry)

    def _rounds(self, transient: list[_Picture], attempt: Attempt) -> dict[int, int]:
        """Return the pictures that have a round left, and how often each could not be had."""
        if not self._delays_s:
            return {}
        rounds = {}
        for picture in transient:
            asked = picture.fault is not None and picture.fault.attempts > 0
            count = attempt.rounds.get(picture.number, 0) + asked
            if count <= len(self._delays_s) and (asked or self._waited_s(attempt) < UNASKED_S):
                rounds[picture.number] = count
        return rounds

    def _waited_s(self, attempt: Attempt) -> float:
        """Return the pauses of an event so far: its age, but for the work on it."""
        listed = self._delays_s[: attempt.passes]
        return sum(listed) + (attempt.passes - len(listed)) * self._delays_s[-1]

    def _retry(
        self, rounds: Mapping[int, int], faulty: Mapping[int, Fault], attempt: Attempt
    ) -> Retry:
        """Return the next attempt. Pauses grow with each, also where nothing was asked."""
        causes = [faulty[number] for number in rounds]
        following = Attempt(
            attempt.passes + 1,
            rounds,
            attempt.tries + max(cause.attempts for cause in causes),
            attempt.dead_lettered | (faulty.keys() - rounds.keys()),
        )
        pause_s = self._delays_s[min(attempt.passes, len(self._delays_s) - 1)]
        return Retry(following, pause_s * self._jitter(), causes[0].code, causes[0].message)

    async def _embed_and_store(self, picture: _Picture, attempt: Attempt) -> None:
        """Embed an image, and store it beside that if it is inline.

        Its vector is written even if its bytes are not stored yet; the event then comes back.
        """
        missing, _ = await asyncio.gather(
            self._inline.store(picture.source), self._embed(picture, attempt)
        )
        if missing is not None and picture.fault is None:
            _fail(picture, "store", NOT_STORED, missing.text, missing.attempts)
            picture.transient = True

    async def _embed(self, picture: _Picture, attempt: Attempt) -> None:
        try:
            picture.found = await self._pictures.embedded(
                picture.source, patient=attempt.retry_tier
            )
        except FetchError as error:
            _fail(picture, "fetch", error.code, str(error), error.attempts)
            picture.transient = error.transient
        except ImageError as error:
            _fail(picture, "image", error.code, str(error))
        except ModelError as error:
            _fail(picture, "embed", error.code, str(error))
            picture.transient = True


def _fail(picture: _Picture, stage: str, code: str, text: str, attempts: int = 1) -> None:
    where = f"product.images[{picture.number}]: {text}"
    picture.fault = Fault(stage, code, where, attempts)


def _images(read: OrderedEvent) -> list[ImageSource]:
    product = read.event.product
    return product.images if isinstance(product, Product) else []


def _image_vector(picture: _Picture) -> ImageVector:
    found = picture.found
    assert found is not None  # noqa: S101 - only those that were embedded are asked
    return ImageVector(
        image_id=image_id(picture.number, picture.source),
        vector=found.vector,
        url=picture.source.url or BLOB + found.digest,
        content_hash=found.digest,
        kind=picture.source.kind,
        etag=found.etag,
    )
