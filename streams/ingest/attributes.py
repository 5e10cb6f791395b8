"""The attribute lane: what a product is and what it costs, searchable without a model.

It writes `base` and `offer` records. It also dead-letters what cannot be read at all, so that
the embedding lane, which reads the same messages, need not.
"""

import asyncio
from collections.abc import Sequence

from streams.images.blobs import reference_of
from streams.images.errors import FetchError
from streams.images.inline import decode_base64
from streams.ingest.dead_letters import Fault
from streams.ingest.order import OrderMode
from streams.ingest.outcome import OrderedEvent, Outcome, read_batch
from streams.kafka.messages import SourceMessage
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import (
    ImageSource,
    Product,
    ProductCreated,
    ProductDeleted,
    ProductOfferUpdated,
    ProductUpdated,
)
from visualsearch.contracts.events import Offer as OfferEvent
from visualsearch.contracts.records import Base, ImageRef, IndexRecord, Offer, Order

ORDER_CODES = frozenset({"version_missing", "order_header_invalid"})


class AttributeLane:
    """Cheap: it waits for no image host, no model and no blob store."""

    name = "attributes"

    def __init__(self, mode: OrderMode, inline_limit: int, batch: int) -> None:
        self.batch = batch
        self._mode = mode
        self._inline_limit = inline_limit

    async def process(self, messages: Sequence[SourceMessage]) -> list[Outcome]:
        """Return the records of each message."""
        return await asyncio.to_thread(self._outcomes, messages)

    def _outcomes(self, messages: Sequence[SourceMessage]) -> list[Outcome]:
        return [self._outcome(read) for read in read_batch(messages, self._mode)]

    def _outcome(self, read: OrderedEvent | SchemaError) -> Outcome:
        if isinstance(read, SchemaError):
            stage = "order" if read.code in ORDER_CODES else "decode"
            return Outcome("dead_lettered", faults=[Fault(stage, read.code, str(read))])
        records = [(read.product_id, record, read) for record in self._records(read)]
        return Outcome("indexed", type=read.type, records=records)

    def _records(self, read: OrderedEvent) -> list[IndexRecord]:
        event, order = read.event, read.order
        if isinstance(event, ProductDeleted):
            return [Base(order=order, deleted=True), Offer(order=order, deleted=True)]
        if isinstance(event, ProductOfferUpdated):
            return [offer_record(event.product, order)]
        if isinstance(event, ProductCreated | ProductUpdated):
            product = event.product
            records: list[IndexRecord] = [self._base(product, order)]
            if (product.price, product.currency, product.in_stock) != (None, None, None):
                records.append(offer_record(product, order))
            return records
        raise TypeError(event)  # pragma: no cover - the union is closed

    def _base(self, product: Product, order: Order) -> Base:
        refs = (self._ref(number, image) for number, image in enumerate(product.images))
        return base_record(product, order, [ref for ref in refs if ref is not None])

    def _ref(self, number: int, image: ImageSource) -> ImageRef | None:
        url = image.url
        if image.data is not None:
            try:
                # Named here, stored by the embedding lane: a full store must not hold up a price.
                url = reference_of(decode_base64(image.data, self._inline_limit))
            except FetchError:  # the embedding lane meets it as well and dead-letters it
                return None
        assert url is not None  # noqa: S101 - the schema has exactly one of the two
        return ImageRef(image_id=image_id(number, image), url=url, kind=image.kind)


def image_id(number: int, image: ImageSource) -> str:
    """Return the id of a picture: its own, or its place in the product's list."""
    return image.image_id if image.image_id is not None else str(number)


def base_record(product: Product, order: Order, images: list[ImageRef]) -> Base:
    """Return what a product is, as the log keeps it."""
    return Base(
        order=order,
        title=product.title,
        description=product.description,
        brand=product.brand,
        category=product.category,
        tags=product.tags or [],
        attributes=product.attributes or {},
        images=images,
        url=product.url,
    )


def offer_record(product: Product | OfferEvent, order: Order) -> Offer:
    """Return what a product costs and whether it can be had, as the log keeps it."""
    return Offer(
        order=order, price=product.price, currency=product.currency, in_stock=product.in_stock
    )
