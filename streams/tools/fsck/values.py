"""Value types of the check: a message as read, and a product as served."""

from dataclasses import dataclass

from msgspec import Struct

from streams.kafka.numbers import parse_int64

Order = tuple[int, int, int]
PartitionKey = tuple[str, int]
"""A topic and a partition."""
MessagePosition = tuple[str, int, int]
"""A topic, a partition and an offset."""


class FsckError(Exception):
    """The check cannot be run; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    """A Kafka message; `timestamp_ms` is the broker's or the sender's, as the topic has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    damage: str | None = None  # the code of what the client could not read

    @property
    def source(self) -> MessagePosition:
        """Its position."""
        return self.topic, self.partition, self.offset

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text."""
        for key, value in reversed(self.headers):
            if key == name and value is not None:
                return value.decode("utf-8", "replace")
        return None


def format_position(source: MessagePosition | None) -> str | None:
    """Write a source as people and headers do: topic[partition]@offset."""
    return None if source is None else f"{source[0]}[{source[1]}]@{source[2]}"


def parse_message_position(text: str | None) -> MessagePosition | None:
    """Read what `format_position` writes; None for anything else."""
    where, _, offset = (text or "").rpartition("@")
    topic, _, partition = where.rpartition("[")
    partition = partition.removesuffix("]")
    number, at = parse_int64(partition), parse_int64(offset)
    return None if not topic or number is None or at is None else (topic, number, at)


class ProductFields(Struct, frozen=True):
    """The attributes of a product; a deleted one has none."""

    deleted: bool = False
    title: str = ""
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    tags: list[str] = []
    attributes: dict[str, str] = {}
    url: str | None = None


class OfferFields(Struct, frozen=True):
    """Price and stock."""

    deleted: bool = False
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None


class ServedImage(Struct, frozen=True):
    """One image; `url` is None where the event carries the bytes, `vector` base64 float16."""

    image_id: str
    kind: str = "catalog"
    url: str | None = None
    vector: str | None = None


class Orders(Struct, frozen=True):
    """The order of the newest record of each kind; None where none was seen."""

    base: Order | None = None
    offer: Order | None = None
    vectors: Order | None = None


class ServedProduct(Struct, frozen=True):
    """A product as a worker serves it."""

    product_id: str
    searchable: bool
    orders: Orders
    base: ProductFields | None = None
    offer: OfferFields | None = None
    images: list[ServedImage] = []
