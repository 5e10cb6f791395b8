"""Publish a catalog to a product topic; threads prepare its images, memory is bounded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from streams.kafka.sender import MessageSender
from streams.tools.catalog.events import EventType, product_event, row_product
from streams.tools.catalog.rows import Catalog, RejectedRow, Row
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError
from visualsearch.contracts.events import Product, encode_event

_AHEAD = 16  # products whose images are in memory before they are handed to the producer
_IN_FLIGHT = 64  # messages handed over and not acknowledged
THREADS = 2


@dataclass(frozen=True, slots=True)
class ReadyProduct:
    """A valid product, and its row in the catalog."""

    where: str
    position: int
    product: Product


@dataclass(frozen=True, slots=True)
class PublishedProduct:
    """An acknowledged product; its records in the index log carry `event_id`."""

    product_id: str
    event_id: str
    image_count: int


@dataclass(slots=True)
class LoadResult:
    """The published products and rejected rows so far."""

    published: list[PublishedProduct] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    position: int = 0

    @property
    def image_count(self) -> int:
        """How many images the published products have."""
        return sum(product.image_count for product in self.published)


def products_of(
    catalog: Catalog, *, threads: int = THREADS
) -> Iterator[ReadyProduct | RejectedRow]:
    """Yield the products in the catalog's order, their images read and shrunk.

    A repeated product id is rejected: the later row would silently replace the earlier one.
    """
    seen: dict[str, str] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="catalog") as pool:
        for made in _prepared(catalog, pool):
            if isinstance(made, RejectedRow):
                yield made
                continue
            product_id = made.product.product_id
            if (before := seen.get(product_id)) is not None:
                text = f"product_id {product_id!r} was given before, in {before}"
                yield RejectedRow(
                    made.where, "product_id_repeated", text, "product_id", made.position
                )
                continue
            seen[product_id] = made.where
            yield made


def _prepared(catalog: Catalog, pool: ThreadPoolExecutor) -> Iterator[ReadyProduct | RejectedRow]:
    def prepare(row: Row | RejectedRow) -> ReadyProduct | RejectedRow:
        made = row if isinstance(row, RejectedRow) else row_product(row, catalog.folder)
        return (
            made if isinstance(made, RejectedRow) else ReadyProduct(row.where, row.position, made)
        )

    ahead: deque[Future[ReadyProduct | RejectedRow]] = deque()
    for row in catalog.rows:
        ahead.append(pool.submit(prepare, row))
        if len(ahead) >= _AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def publish(
    products: Iterable[ReadyProduct | RejectedRow],
    sender: MessageSender,
    topic: str,
    *,
    run_id: str,
    now: Callable[[], datetime],
    kind: EventType = "created",
    progress: Callable[[LoadResult], None] = lambda _: None,
) -> LoadResult:
    """Send an event for each product and wait until the broker has them all.

    A message that the broker refuses for its size is a rejected row; any other SendError is
    raised, because what follows would fail as well.
    """
    load = LoadResult()
    in_flight: deque[tuple[ReadyProduct, PublishedProduct, Future[None]]] = deque()
    for number, item in enumerate(products):
        if isinstance(item, RejectedRow):
            load.rejected.append(item)
            continue
        product = item.product
        event_id = f"{run_id}-{number}"
        value = encode_event(product_event(product, event_id, now(), kind))
        sent = sender.submit(OutgoingMessage(topic, product.product_id.encode(), value))
        entry = PublishedProduct(product.product_id, event_id, len(product.images))
        in_flight.append((item, entry, sent))
        if len(in_flight) >= _IN_FLIGHT:
            _await_acknowledgement(*in_flight.popleft(), load)
            progress(load)
    while in_flight:
        _await_acknowledgement(*in_flight.popleft(), load)
        progress(load)
    return load


def _await_acknowledgement(
    ready: ReadyProduct, published: PublishedProduct, sent: "Future[None]", load: LoadResult
) -> None:
    load.position = ready.position
    try:
        sent.result()
        load.published.append(published)
    except SendError as error:
        if not error.too_large:
            raise
        text = f"the event is too large for the topic ({error}); send images by URL"
        load.rejected.append(
            RejectedRow(ready.where, "event_too_large", text, "images", ready.position)
        )
