"""What the check takes from the index log: states of truncated topics, and content hashes."""

from collections.abc import Iterable, Mapping

from streams.tools.fsck.history import Claim, ExpectedImages, ExpectedProduct, add_claim
from streams.tools.fsck.values import (
    Message,
    OfferFields,
    PartitionKey,
    ProductFields,
    ServedImage,
    parse_message_position,
)
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    OfferLogRecord,
    UnknownRecordError,
    decode_record,
)

Hashes = dict[tuple[str, str], set[str]]
"""Per product and image id the content hashes that its vectors records name."""


def fold_log(
    records: Iterable[Message],
    products: dict[str, ExpectedProduct],
    lows: Mapping[PartitionKey, int],
) -> int:
    """Add the log's states of events that the topics no longer hold; return how many.

    A record counts if its `source` lies before the first message of its partition. One that names
    no source counts only where the topics hold no event of that product and kind.
    """
    claims: dict[tuple[str, str], Claim] = {}
    for message in records:
        try:
            product_id, record = decode_record(message.key, message.value)
        except UnknownRecordError:
            continue
        source = parse_message_position(message.header("source"))
        kind = record.__struct_config__.tag
        held = products.get(product_id, ExpectedProduct()).of(str(kind))
        gone = source is not None and source[2] < lows.get(source[:2], 0)
        if not (gone or (source is None and not held)):
            continue
        claim = Claim(record.order, source, _state_of(record))
        known = claims.get((product_id, str(kind)))
        if known is None or claim.order >= known.order:
            claims[product_id, str(kind)] = claim
    for (product_id, kind), claim in claims.items():
        add_claim(products.setdefault(product_id, ExpectedProduct()).of(kind), claim)
    return len(claims)


def content_hashes(records: Iterable[Message], products: set[str]) -> Hashes:
    """Return the SHA-256 hashes that were indexed for each image of these products."""
    hashes: Hashes = {}
    wanted = {f"vectors:{product_id}".encode() for product_id in products}
    for message in records:
        if message.key not in wanted:
            continue
        try:
            product_id, record = decode_record(message.key, message.value)
        except UnknownRecordError:
            continue
        if not isinstance(record, BaseLogRecord | OfferLogRecord):
            for image in record.images:
                hashes.setdefault((product_id, image.image_id), set()).add(image.content_hash)
    return hashes


def _state_of(record: IndexRecord) -> ProductFields | OfferFields | ExpectedImages:
    if isinstance(record, BaseLogRecord):
        return ProductFields(
            deleted=record.deleted,
            title=record.title,
            description=record.description,
            brand=record.brand,
            category=record.category,
            tags=record.tags,
            attributes=record.attributes,
            url=record.url,
        )
    if isinstance(record, OfferLogRecord):
        return OfferFields(record.deleted, record.price, record.currency, record.in_stock)
    return ExpectedImages([ServedImage(i.image_id, i.kind, i.url) for i in record.images])
