"""An event and the results of its images → its `vectors` record, dead letters and next attempt.

Pure functions. An image that failed for a transient reason sends the event to `product-retry`. A
permanent fault is dead-lettered.
"""

from collections.abc import Sequence
from dataclasses import replace

from streams.images.blobs import SCHEME as BLOB
from streams.ingest.attributes import image_id
from streams.ingest.images import EventImages, ImageResult
from streams.ingest.outcome import EventOutcome, OrderedEvent, RecordEntry
from streams.ingest.retry import Attempt, next_retry
from visualsearch.contracts.events import ImageSource, Product, ProductDeleted
from visualsearch.contracts.records import LogImageVector, VectorsLogRecord


def sources_of(event: OrderedEvent) -> Sequence[ImageSource]:
    """Return the images of an event's product; none for offers and deletes."""
    product = event.event.product
    return product.images if isinstance(product, Product) else ()


def vectors_outcome(
    event: OrderedEvent, images: EventImages, attempt: Attempt, delays_s: Sequence[float]
) -> EventOutcome:
    """Return the outcome of an event, with a retry if a fault is transient."""
    faults = {result.number: result.fault for result in images.results if result.fault is not None}
    transient = {result.number for result in images.results if result.transient}
    retry = next_retry(faults, transient, attempt, delays_s)
    retried = retry.attempt.failed_rounds if retry is not None else ()
    final = [
        replace(fault, attempts=fault.attempts + attempt.total_attempts)
        for number, fault in faults.items()
        if number not in retried
    ]
    record = vectors_record(event, images)
    records: list[RecordEntry] = [] if record is None else [(event.product_id, record, event)]
    word = "retried" if retry else "dead_lettered" if final else "indexed"
    return EventOutcome(word, event.type, records, final, retry)


def vectors_record(event: OrderedEvent, images: EventImages) -> VectorsLogRecord | None:
    """Return the record of the embedded images.

    None if the product has images and none is embedded: the old vectors stay searchable.
    """
    if isinstance(event.event, ProductDeleted):
        return VectorsLogRecord(order=event.order, deleted=True)
    vectors = [vector for result in images.results if (vector := _image_vector(result)) is not None]
    if not vectors and sources_of(event):
        return None
    return VectorsLogRecord(
        order=event.order,
        model=images.model,
        images=vectors,
        attributes={name: guess.value for name, guess in images.attributes.items()},
        confidences={name: guess.confidence for name, guess in images.attributes.items()},
    )


def _image_vector(result: ImageResult) -> LogImageVector | None:
    if (found := result.embedded) is None:
        return None
    return LogImageVector(
        image_id=image_id(result.number, result.source),
        vector=found.vector,
        url=result.source.url or BLOB + found.digest,
        content_hash=found.digest,
        kind=result.source.kind,
        etag=result.etag,
    )
