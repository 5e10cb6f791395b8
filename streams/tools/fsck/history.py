"""The expected state: product events folded; per product and kind of record the newest wins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from streams.tools.fsck.failures import Failure
from streams.tools.fsck.values import (
    Message,
    MessagePosition,
    OfferFields,
    Order,
    ProductFields,
    ServedImage,
    format_position,
)
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import (
    TYPE_NAMES,
    TYPE_RANK,
    Product,
    ProductDeleted,
    ProductEvent,
    ProductOfferUpdated,
)

Mode = Literal["timestamp", "explicit"]
ORDER_HEADER = "__visualsearch.order"
"""A replayed dead letter's original position, which keeps its order: `timestamp_ms,offset`."""
_ORDER = re.compile(rb"(-1|[0-9]{1,19}),([0-9]{1,19})")


class ExpectedImages(Struct, frozen=True):
    """A product's images; those in `doubtful`, by position, may be missing."""

    images: list[ServedImage] = []
    doubtful: frozenset[int] = frozenset()

    @property
    def certain(self) -> int:
        """How many images there must be at least."""
        return len(self.images) - len(self.doubtful)


@dataclass(frozen=True, slots=True)
class Claim:
    """The state that an event gives one kind; a confirmed claim must have reached the index.

    An unconfirmed one has a dead letter: it may have reached the index later (a replay), or the
    claim before it may still stand.
    """

    order: Order
    source: MessagePosition | None
    state: ProductFields | OfferFields | ExpectedImages
    confirmed: bool = True


@dataclass(slots=True)
class ExpectedProduct:
    """Per kind the claims that may stand: the newest confirmed one and those not older."""

    base: list[Claim] = field(default_factory=list)
    offer: list[Claim] = field(default_factory=list)
    vectors: list[Claim] = field(default_factory=list)

    def of(self, kind: str) -> list[Claim]:
        """Return the claims of a kind."""
        claims: list[Claim] = getattr(self, kind)
        return claims


def add_claim(claims: list[Claim], claim: Claim) -> None:
    """Add a claim unless a newer confirmed one stands; drop those that it supersedes.

    Claims of equal order are all kept: which partition's event was applied last is arbitrary.
    """
    if any(known.confirmed and known.order > claim.order for known in claims):
        return
    if claim.confirmed:
        claims[:] = [known for known in claims if known.order >= claim.order]
    claims.append(claim)


def newest(claims: list[Claim]) -> Claim | None:
    """Return the deciding claim: the newest confirmed one, else the newest of all."""
    pool = [claim for claim in claims if claim.confirmed] or claims
    return max(pool, key=lambda claim: claim.order, default=None)


class History:
    """Folds messages of the product topics, in any order."""

    def __init__(self, mode: Mode, dead: Mapping[MessagePosition, Failure]) -> None:
        self.products: dict[str, ExpectedProduct] = {}
        self.events = 0
        self.unread: list[tuple[MessagePosition, str]] = []  # position and error code
        self._mode = mode
        self._dead = dead

    def add(self, message: Message) -> None:
        """Fold one message; one that is not an event, or has no order, goes to `unread`."""
        self.events += 1
        try:
            event = decode(message)
            order = order_of(event, message, self._mode)
        except SchemaError as error:
            self.unread.append((message.source, error.code))
            return
        expected = self.products.setdefault(event.product.product_id, ExpectedProduct())
        failure = self._dead.get(message.source, Failure())
        for kind, state in claims_of(event).items():
            confirmed = not failure.whole_event
            if isinstance(state, ExpectedImages) and (failure.image_numbers or failure.unnumbered):
                every = range(len(state.images))
                failed = every if failure.unnumbered else failure.image_numbers & set(every)
                state = ExpectedImages(state.images, frozenset(failed))  # noqa: PLW2901
                confirmed = confirmed and state.certain > 0
            add_claim(expected.of(kind), Claim(order, message.source, state, confirmed))


def decode(message: Message) -> ProductEvent:
    """Decode a message of a product topic. Raises SchemaError."""
    if message.damage is not None:
        raise SchemaError(message.damage, "the client cannot read it")
    return decode_event(
        message.value,
        key=message.key,
        headers=message.headers,
        timestamp_ms=original_position(message)[0],
        source=format_position(message.source) or "",
    )


def original_position(message: Message) -> tuple[int, int]:
    """Return (timestamp in ms, offset) of a message, or of a replay's original.

    Raises SchemaError `order_header_invalid`.
    """
    carried = [value for name, value in message.headers if name == ORDER_HEADER]
    if not carried:
        return message.timestamp_ms, message.offset
    found = _ORDER.fullmatch(carried[-1] or b"")
    if found is None or max(int(found[1]), int(found[2])) >= 2**63:
        raise SchemaError("order_header_invalid", f"the header {ORDER_HEADER} cannot be read")
    return int(found[1]), int(found[2])


def order_of(event: ProductEvent, message: Message, mode: Mode) -> Order:
    """Return (timestamp in ms or version, offset, rank of the type). Raises SchemaError."""
    timestamp_ms, offset = original_position(message)
    first = timestamp_ms if mode == "timestamp" else event.version
    if first is None:
        raise SchemaError("version_missing", "no version, and the mode is `explicit`")
    return first, offset, TYPE_RANK[TYPE_NAMES[type(event)]]


def claims_of(event: ProductEvent) -> dict[str, ProductFields | OfferFields | ExpectedImages]:
    """Return the states that an event gives, by kind of record."""
    if isinstance(event, ProductDeleted):
        return {"base": ProductFields(deleted=True), "offer": OfferFields(deleted=True),
                "vectors": ExpectedImages()}  # fmt: skip
    product = event.product
    offer = OfferFields(price=product.price, currency=product.currency, in_stock=product.in_stock)
    if isinstance(event, ProductOfferUpdated):
        return {"offer": offer}
    assert isinstance(product, Product)  # noqa: S101 - of the two types that are left
    states: dict[str, ProductFields | OfferFields | ExpectedImages] = {
        "base": ProductFields(
            title=product.title,
            description=product.description,
            brand=product.brand,
            category=product.category,
            tags=product.tags or [],
            attributes=product.attributes or {},
            url=product.url,
        ),
        "vectors": ExpectedImages(images_of(product)),
    }
    if offer != OfferFields():  # an event without any of the three leaves the offer unchanged
        states["offer"] = offer
    return states


def images_of(product: Product) -> list[ServedImage]:
    """Return the images; one without an id gets its number in the list."""
    return [
        ServedImage(image.image_id or str(number), image.kind, image.url)
        for number, image in enumerate(product.images)
    ]
