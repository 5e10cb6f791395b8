"""Bytes of a product topic → a product event, or a `SchemaError` that names the field.

Three envelopes are understood: bare JSON, CloudEvents structured (the whole event in the value)
and CloudEvents binary (attributes in `ce_` headers), as in the CloudEvents Kafka binding 1.0.2:
https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.errors import SchemaError, from_validation
from schemas.events import EVENT_TYPES, Deleted, ProductDeleted, ProductEvent

Headers = Iterable[tuple[str, bytes | None]]


def decode_event(
    value: bytes | None, *, key: bytes | None, headers: Headers, timestamp_ms: int, source: str
) -> ProductEvent:
    """Decode one message of a product topic.

    A null value is a delete of the product that the key names; it happened at the message's
    timestamp, and `source` (topic[partition]@offset) serves as its event id.
    Raises SchemaError, the only error it raises.
    """
    product_id = _key_text(key)
    if value is None:
        return ProductDeleted(
            event_id=source,
            occurred_at=_at_timestamp(timestamp_ms),
            product=Deleted(product_id=product_id),
        )
    event = _to_event(_unwrap(_parse(value), _header_texts(headers)))
    if event.product.product_id != product_id:
        raise SchemaError(
            "key_mismatch",
            f"the message key {product_id!r} is not product.product_id "
            f"{event.product.product_id!r}; publish with the product id as key",
            field="product.product_id",
        )
    return event


def _key_text(key: bytes | None) -> str:
    if not key:
        raise SchemaError("key_missing", "the message has no key; publish with the product id")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        raise SchemaError("key_invalid", "the message key is not UTF-8") from None
    if len(text) > 256:
        raise SchemaError("key_invalid", "the message key is longer than 256 characters")
    return text


def _at_timestamp(timestamp_ms: int) -> datetime:
    try:
        if timestamp_ms >= 0:  # -1 is Kafka's "none"
            return datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise SchemaError("timestamp_invalid", f"the message's timestamp is {timestamp_ms} ms")


def _header_texts(headers: Headers) -> dict[str, str]:
    return {name: raw.decode("utf-8", "replace") for name, raw in headers if raw is not None}


def _parse(value: bytes) -> dict[str, Any]:
    try:
        parsed = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError("not_json", f"the value is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise SchemaError("not_an_object", "the value is JSON but not an object")
    return parsed


def _unwrap(body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Bring a CloudEvent into the bare form; its attributes fill what `data` does not say."""
    if "ce_specversion" in headers:
        envelope: dict[str, Any] = {
            "id": headers.get("ce_id"),
            "type": headers.get("ce_type"),
            "time": headers.get("ce_time"),
        }
        data: Any = body
    elif "specversion" in body and "event_type" not in body:
        envelope, data = body, body.get("data")
    else:
        return body
    if not isinstance(data, dict):
        raise SchemaError("field_invalid", "data: expected an object", field="data")
    inner = data if "product" in data else {"product": data}
    kind = envelope.get("type")
    filled = {
        "event_id": envelope.get("id"),
        # CloudEvents types carry a reverse-DNS prefix: com.shop.product-created
        "event_type": kind.rpartition(".")[2] if isinstance(kind, str) else kind,
        "occurred_at": envelope.get("time"),
    }
    return {name: value for name, value in filled.items() if value is not None} | inner


def _to_event(body: dict[str, Any]) -> ProductEvent:
    name = body.get("event_type")
    known = ", ".join(EVENT_TYPES)
    if name is None:
        raise SchemaError(
            "field_missing", f"event_type is required: one of {known}", field="event_type"
        )
    if not isinstance(name, str):
        raise SchemaError("field_invalid", f"event_type: one of {known}", field="event_type")
    if name not in EVENT_TYPES:
        raise SchemaError(
            "event_type_unknown",
            f"event_type {name[:100]!r} is not one of {known}",
            field="event_type",
        )
    try:
        event = msgspec.convert(body, EVENT_TYPES[name])
    except msgspec.ValidationError as error:
        raise from_validation(error) from None
    try:
        event.occurred_at.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999, beyond them in UTC
        raise SchemaError(
            "field_invalid", "occurred_at: out of range in UTC", field="occurred_at"
        ) from None
    return event
