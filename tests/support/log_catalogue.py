"""Random product events on a topic per type, and what is the newest of them."""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from streams.ingest.order import OrderMode
from streams.ingest.outcome import OrderedEvent, decode
from streams.kafka.messages import SourceMessage
from visualsearch.contracts.events import (
    TYPE_NAMES,
    ImageSource,
    Product,
    ProductCreated,
    ProductDeleted,
    ProductEvent,
    ProductOffer,
    ProductOfferUpdated,
    ProductReference,
    ProductUpdated,
    encode_event,
)
from visualsearch.contracts.records import Order

PRODUCTS = ("a", "b", "c", "d")
WHEN = datetime(2026, 5, 1, tzinfo=UTC)


def linked(number: int) -> ImageSource:
    """Return an image by its address, which nobody fetches here."""
    return ImageSource(url=f"http://host/{number}")


class Catalogue:
    """Publishes product events; times and versions repeat, and hosts' clocks differ a little."""

    def __init__(
        self,
        rng: random.Random,
        products: Sequence[str] = PRODUCTS,
        picture: Callable[[int], ImageSource] = linked,
    ) -> None:
        self._rng = rng
        self._products = products
        self._picture = picture
        self.topics: dict[str, list[SourceMessage]] = {}
        self._ms = 1_000
        self._version = 1
        self._count = 0

    def publish(self) -> None:
        """Publish one event of a random type to the topic of its type, or to that of all types."""
        rng = self._rng
        self._ms += rng.randrange(3)
        self._version += rng.randrange(3)
        self._count += 1
        event = self._event(rng.choice(self._products))
        topic = TYPE_NAMES[type(event)] if rng.random() < 0.85 else "product-events"
        messages = self.topics.setdefault(topic, [])
        stamp = self._ms - rng.randrange(3) if rng.random() < 0.3 else self._ms
        key = event.product.product_id.encode()
        messages.append(SourceMessage(topic, 0, len(messages), stamp, key, encode_event(event)))

    def _event(self, product_id: str) -> ProductEvent:
        rng, number = self._rng, self._count
        head: dict[str, Any] = {
            "event_id": f"e{number}", "occurred_at": WHEN, "version": self._version,
        }  # fmt: skip
        draw = rng.random()
        if draw < 0.3:
            return ProductDeleted(**head, product=ProductReference(product_id=product_id))
        if draw < 0.5:
            return ProductOfferUpdated(
                **head, product=ProductOffer(product_id=product_id, price=float(number))
            )
        images = [self._picture(number * 2 + n) for n in range(rng.randrange(3))]
        price = float(number) if rng.random() < 0.5 else None
        product = Product(product_id=product_id, title=f"t{number}", images=images, price=price)
        kind = ProductCreated if draw < 0.75 else ProductUpdated
        return kind(**head, product=product)


def newest_orders(
    messages: Iterable[SourceMessage], mode: OrderMode
) -> dict[tuple[str, str], Order]:
    """Return by product and kind the newest order that events give: the truth of the catalog."""
    newest: dict[tuple[str, str], Order] = {}
    for message in messages:
        read = decode(message, mode)
        assert isinstance(read, OrderedEvent)
        kinds = ["base", "offer", "vectors"]
        if isinstance(read.event, ProductOfferUpdated):
            kinds = ["offer"]
        elif not isinstance(read.event, ProductDeleted) and read.event.product.price is None:
            kinds = ["base", "vectors"]
        for kind in kinds:
            place = (read.product_id, kind)
            newest[place] = max(newest.get(place, read.order), read.order)
    return newest
