"""Records of the index log: derived state in MessagePack, one record per product and kind.

Key `<kind>:<product_id>`, partition `murmur2(product_id) & 0x7fffffff % n`. A delete is a record
with `deleted` set, never a null value: a null has no `order`, and compaction would remove it.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

FORMAT = 1
"""Version of the record format; readers skip and count records of newer formats."""

RecordKind = Literal["base", "offer", "vectors"]
Order = tuple[int, int, int]
_Ordinal = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Price = Annotated[float, Meta(ge=0, le=1e300)]  # an upper limit refuses `inf`, either one `nan`
_Share = Annotated[float, Meta(ge=0, le=1)]


class LogImageRef(Struct, omit_defaults=True, kw_only=True):
    """The address of a product's image: a URL, or `blob:<sha256>` in the blob store."""

    image_id: str
    url: str
    kind: Literal["catalog", "lifestyle"] = "catalog"


class _LogRecord(Struct, tag_field="kind", kw_only=True, omit_defaults=True):
    order: tuple[_Ordinal, _Ordinal, _Ordinal]
    deleted: bool = False
    format: int = FORMAT


class BaseLogRecord(_LogRecord, tag="base", kw_only=True, omit_defaults=True):
    """The product without its offer and vectors; written by the attribute pipeline."""

    title: str = ""
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    tags: list[str] = []
    attributes: dict[str, str] = {}
    images: list[LogImageRef] = []
    url: str | None = None


class OfferLogRecord(_LogRecord, tag="offer", kw_only=True, omit_defaults=True):
    """Price and stock; written by the attribute pipeline."""

    price: _Price | None = None
    currency: str | None = None
    in_stock: bool | None = None


class LogImageVector(Struct, omit_defaults=True, kw_only=True):
    """The embedding of an image; `vector` is a unit vector as little-endian float16."""

    image_id: str
    vector: bytes
    url: str
    content_hash: str
    kind: Literal["catalog", "lifestyle"] = "catalog"
    etag: str | None = None


class VectorsLogRecord(_LogRecord, tag="vectors", kw_only=True, omit_defaults=True):
    """The embeddings of all images of a product; written by the embedding pipeline."""

    model: str = ""
    images: list[LogImageVector] = []
    # Attributes guessed from the images, with confidences; the product's own attributes win.
    attributes: dict[str, str] = {}
    confidences: dict[str, _Share] = {}


IndexRecord = BaseLogRecord | OfferLogRecord | VectorsLogRecord
KINDS: dict[str, type[IndexRecord]] = {
    "base": BaseLogRecord,
    "offer": OfferLogRecord,
    "vectors": VectorsLogRecord,
}


class UnknownRecordError(ValueError):
    """A record of an unknown kind, of a newer format or not decodable: counted and skipped."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class _FormatOnly(Struct):
    format: Annotated[int, Meta(ge=1)] = FORMAT


# Made here, not at the first call: see visualsearch/contracts/events.py.
_PEEK = msgspec.msgpack.Decoder(_FormatOnly)
_DECODERS = {kind: msgspec.msgpack.Decoder(record) for kind, record in KINDS.items()}


def record_key(kind: RecordKind, product_id: str) -> bytes:
    """Return the log key of a product's record of one kind."""
    return f"{kind}:{product_id}".encode()


def encode_record(record: IndexRecord) -> bytes:
    """Encode a record as MessagePack."""
    return msgspec.msgpack.encode(record)


def decode_record(key: bytes | None, value: bytes | None) -> tuple[str, IndexRecord]:
    """Return (product_id, record). Raises UnknownRecordError, the only error it raises."""
    if key is None or value is None:
        raise UnknownRecordError("null", "records have a key and a value")
    kind, _, product_id = key.decode("utf-8", "replace").partition(":")
    if kind not in KINDS or not product_id:
        raise UnknownRecordError("unknown_kind", repr(key[:100]))
    try:
        record = _DECODERS[kind].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _require_format(value)  # a newer format may have fields of other types
        raise UnknownRecordError("undecodable", str(error)) from None
    if record.format != FORMAT:
        _require_format(value)
    return product_id, record


def _require_format(value: bytes) -> None:
    """Raise UnknownRecordError if the record is of a newer format, or of none."""
    try:
        found = _PEEK.decode(value).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnknownRecordError("undecodable", str(error)) from None
    if found > FORMAT:
        raise UnknownRecordError("newer_format", f"{found} > {FORMAT}")
