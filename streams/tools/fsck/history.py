"""The truth: every product event folded, per product and kind of record the newest wins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from streams.tools.fsck.letters import Failure
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
"""By it a dead letter that is published again keeps its order: `timestamp_ms,offset`."""
_STOOD = re.compile(rb"(-1|[0-9]{1,19}),([0-9]{1,19})")


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
    """What an event says of one kind. A `settled` one must have reached the index.

    One that is not settled is told of in the dead letters: it may have reached the index later
    (a replay), or the claim before it may still stand.
    """

    order: Order
    source: MessagePosition | None
    state: ProductFields | OfferFields | ExpectedImages
    confirmed: bool = True


@dataclass(slots=True)
class ExpectedProduct:
    """Per kind the claims that may stand: the newest settled one and what is not older."""

    base: list[Claim] = field(default_factory=list)
    offer: list[Claim] = field(default_factory=list)
    vectors: list[Claim] = field(default_factory=list)

    def of(self, kind: str) -> list[Claim]:
        """Return the claims of a kind."""
        claims: list[Claim] = getattr(self, kind)
        return claims


def add_claim(claims: list[Claim], claim: Claim) -> None:
    """Add a claim unless a newer settled one stands; drop what it makes obsolete.

    Equal ones stay side by side: which of two partitions' events was applied last is chance.
    """
    if any(known.confirmed and known.order > claim.order for known in claims):
        return
    if claim.confirmed:
        claims[:] = [known for known in claims if known.order >= claim.order]
    claims.append(claim)


def newest(claims: list[Claim]) -> Claim | None:
    """Return the deciding claim: the newest settled one, else the newest of all."""
    pool = [claim for claim in claims if claim.confirmed] or claims
    return max(pool, key=lambda claim: claim.order, default=None)


class History:
    """Folds messages of the product topics, in any order."""

    def __init__(self, mode: Mode, dead: Mapping[MessagePosition, Failure]) -> None:
        self.products: dict[str, ExpectedProduct] = {}
        self.events = 0
        self.unread: list[tuple[MessagePosition, str]] = []  # and why
        self._mode = mode
        self._dead = dead

    def add(self, message: Message) -> None:
        """Fold one message; what is no event, or has no order, is noted as unread."""
        self.events += 1
        try:
            event = decode(message)
            order = order_of(event, message, self._mode)
        except SchemaError as error:
            self.unread.append((message.source, error.code))
            return
        expected = self.products.setdefault(event.product.product_id, ExpectedProduct())
        failure = self._dead.get(message.source, Failure())
        for kind, says in claims_of(event).items():
            settled = not failure.whole_event
            if isinstance(says, ExpectedImages) and (failure.image_numbers or failure.unnumbered):
                every = range(len(says.images))
                failed = every if failure.unnumbered else failure.image_numbers & set(every)
                says = ExpectedImages(says.images, frozenset(failed))  # noqa: PLW2901 - made precise
                settled = settled and says.certain > 0
            add_claim(expected.of(kind), Claim(order, message.source, says, settled))


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
    """Return (timestamp in ms, offset), of a replay those that its original had.

    Raises SchemaError `order_header_invalid`.
    """
    carried = [value for name, value in message.headers if name == ORDER_HEADER]
    if not carried:
        return message.timestamp_ms, message.offset
    found = _STOOD.fullmatch(carried[-1] or b"")
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
    """Return what an event says, by kind of record."""
    if isinstance(event, ProductDeleted):
        return {"base": ProductFields(deleted=True), "offer": OfferFields(deleted=True),
                "vectors": ExpectedImages()}  # fmt: skip
    product = event.product
    terms = OfferFields(price=product.price, currency=product.currency, in_stock=product.in_stock)
    if isinstance(event, ProductOfferUpdated):
        return {"offer": terms}
    assert isinstance(product, Product)  # noqa: S101 - of the two types that are left
    said: dict[str, ProductFields | OfferFields | ExpectedImages] = {
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
    if terms != OfferFields():  # with none of the three the offer stays as it was
        said["offer"] = terms
    return said


def images_of(product: Product) -> list[ServedImage]:
    """Return the images; one without an id is named by its place in the list."""
    return [
        ServedImage(image.image_id or str(number), image.kind, image.url)
        for number, image in enumerate(product.images)
    ]
