"""Product event → `base` and `offer` records, which need no model.

Pure functions.
"""

from streams.images.inline import inline_reference
from streams.ingest.dead_letters import Fault
from streams.ingest.outcome import EventOutcome, OrderedEvent
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import (
    ImageSource,
    Product,
    ProductCreated,
    ProductDeleted,
    ProductOfferUpdated,
    ProductUpdated,
)
from visualsearch.contracts.events import ProductOffer as OfferEvent
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    LogImageRef,
    OfferLogRecord,
    Order,
)

ORDER_CODES = frozenset({"version_missing", "order_header_invalid"})


def attributes_outcome(event: OrderedEvent | SchemaError, inline_limit: int) -> EventOutcome:
    """Return an event's `base` and `offer` records, or the dead letter of an invalid one."""
    if isinstance(event, SchemaError):
        stage = "order" if event.code in ORDER_CODES else "decode"
        return EventOutcome("dead_lettered", faults=[Fault(stage, event.code, str(event))])
    records = [(event.product_id, record, event) for record in _records(event, inline_limit)]
    return EventOutcome("indexed", type=event.type, records=records)


def _records(ordered: OrderedEvent, inline_limit: int) -> list[IndexRecord]:
    event, order = ordered.event, ordered.order
    if isinstance(event, ProductDeleted):
        return [BaseLogRecord(order=order, deleted=True), OfferLogRecord(order=order, deleted=True)]
    if isinstance(event, ProductOfferUpdated):
        return [offer_record(event.product, order)]
    if isinstance(event, ProductCreated | ProductUpdated):
        product = event.product
        refs = (_ref(number, image, inline_limit) for number, image in enumerate(product.images))
        images = [ref for ref in refs if ref is not None]
        records: list[IndexRecord] = [base_record(product, order, images)]
        if (product.price, product.currency, product.in_stock) != (None, None, None):
            records.append(offer_record(product, order))
        return records
    raise TypeError(event)  # pragma: no cover - the union is closed


def _ref(number: int, image: ImageSource, inline_limit: int) -> LogImageRef | None:
    """Return an image's reference; None for an invalid inline one, dead-lettered elsewhere.

    The embedding pipeline stores the bytes: a full blob store must not delay a price.
    """
    url = image.url if image.data is None else inline_reference(image.data, inline_limit)
    if url is None:
        return None
    return LogImageRef(image_id=image_id(number, image), url=url, kind=image.kind)


def image_id(number: int, image: ImageSource) -> str:
    """Return the id of an image: its own, or its index in the product's list."""
    return image.image_id if image.image_id is not None else str(number)


def base_record(product: Product, order: Order, images: list[LogImageRef]) -> BaseLogRecord:
    """Return the `base` record of a product."""
    return BaseLogRecord(
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


def offer_record(product: Product | OfferEvent, order: Order) -> OfferLogRecord:
    """Return the `offer` record of a product: price, currency, stock."""
    return OfferLogRecord(
        order=order, price=product.price, currency=product.currency, in_stock=product.in_stock
    )
