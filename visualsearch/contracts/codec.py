"""Decoding of product events: bytes → event, or a `SchemaError` that names the field.

Three envelopes are understood: bare JSON, CloudEvents structured (the whole event in the value)
and CloudEvents binary (attributes in `ce_` headers), as in the CloudEvents Kafka binding 1.0.2:
https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from visualsearch.contracts.errors import SchemaError, from_validation, shorten_json
from visualsearch.contracts.events import (
    CHOICES,
    EVENT_TYPES,
    ProductDeleted,
    ProductEvent,
    ProductReference,
)
from visualsearch.contracts.limits import json_text, require_shallow, schema_registry_id

Headers = Iterable[tuple[str, bytes | None]]
_LONGEST_HEADER = 64 * 1024
_EVENTS = msgspec.json.Decoder(ProductEvent)  # made at import: see visualsearch/contracts/events.py


def decode_event(
    value: bytes | None, *, key: bytes | None, headers: Headers, timestamp_ms: int, source: str
) -> ProductEvent:
    """Decode one message of a product topic.

    A null value deletes the product that the key names. Its time is the message's timestamp, and
    its event id is `source` (topic[partition]@offset).
    Raises SchemaError, the only error it raises.
    """
    product_id = _product_id_of_key(key, alone=value is None)
    if value is None:
        return ProductDeleted(
            event_id=source,
            occurred_at=_time_of_timestamp(timestamp_ms),
            product=ProductReference(product_id=product_id),
        )
    event = _to_event(_unwrap(_parse(value), _header_texts(headers)))
    if event.product.product_id != product_id:
        if key is not None and key.startswith(b"\0"):
            raise _framed_key(key)
        raise SchemaError(
            "key_mismatch",
            f"the message key {product_id!r} is not product.product_id "
            f"{event.product.product_id!r}; publish with the product id as key",
            field="product.product_id",
        )
    return event


def _product_id_of_key(key: bytes | None, *, alone: bool) -> str:
    """Return the product id in a message key. Raises SchemaError.

    `alone` is true for a tombstone, where only the key names the product. Keys that a serializer
    may have written are then refused: JSON strings, objects and lists, and keys that begin with a
    zero byte. A product with such an id is deleted by a `product-deleted` event, whose value
    repeats the id.
    """
    if not key:
        raise SchemaError("key_missing", "the message has no key; publish with the product id")
    if alone and key.startswith(b"\0"):
        raise _framed_key(key)
    try:
        text = key.decode()
    except UnicodeDecodeError:
        if key.startswith(b"\0"):
            raise _framed_key(key) from None
        raise SchemaError("key_invalid", "the message key is not UTF-8") from None
    if len(text) > 256:
        raise SchemaError("key_invalid", "the message key is longer than 256 characters")
    if alone and (kind := _json_type(key)) is not None:
        raise SchemaError(
            "key_invalid",
            f"the message key {text[:100]} is JSON, {kind}; publish with the product id as plain "
            "UTF-8 (a string serializer), or a product-deleted event if this is the product's id",
        )
    return text


def _framed_key(key: bytes) -> SchemaError:
    """Return the error for a key that begins with a zero byte and is not the product's id."""
    schema_id = schema_registry_id(key)
    what = "a zero byte" if schema_id is None else f"a zero byte and schema id {schema_id}"
    return SchemaError(
        "key_invalid",
        f"the message key begins with {what}, the frame of a schema registry's serializer; "
        "publish with the product id as plain UTF-8 (a string serializer)",
    )


def _json_type(key: bytes) -> str | None:
    """Return the JSON type of a key that a serializer may have written; None for any other key."""
    try:
        parsed = msgspec.json.decode(key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    kinds = {str: "a string", dict: "an object", list: "a list"}
    return next((name for kind, name in kinds.items() if isinstance(parsed, kind)), None)


def _time_of_timestamp(timestamp_ms: int) -> datetime:
    try:
        if timestamp_ms >= 0:  # -1 is Kafka's "none"
            return datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise SchemaError("timestamp_invalid", f"the message's timestamp is {timestamp_ms} ms")


def _header_texts(headers: Headers) -> dict[str, str]:
    return {
        name: raw[:_LONGEST_HEADER].decode("utf-8", "replace")
        for name, raw in headers
        if raw is not None and name.startswith("ce_")
    }


def _parse(value: bytes) -> dict[str, Any]:
    text = json_text(value, "event_too_large")
    require_shallow(text)
    try:
        parsed = msgspec.json.decode(text)
    except msgspec.ValidationError:  # a number that no float holds
        raise _out_of_range(text) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError("not_json", f"the value is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise SchemaError(
            "not_an_object",
            f"the value is JSON but not an object: {shorten_json(parsed)}; "
            "publish one event per message",
        )
    return parsed


def _out_of_range(text: bytes) -> SchemaError:
    """Return the error for a number that no float holds, such as 1e999.

    It names the field if the event has no CloudEvents envelope.
    """
    try:
        _EVENTS.decode(text)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            fault = from_validation(error)
            return SchemaError("not_json", str(fault), field=fault.field)
    except msgspec.DecodeError:
        pass
    return SchemaError("not_json", "the value holds a number out of range; give a smaller number")


def _unwrap(body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Convert a CloudEvent to bare JSON; its attributes fill fields that `data` lacks."""
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
        text = f"data: expected an object; given was {shorten_json(data)}"
        raise SchemaError("field_invalid", text, field="data")
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
        text = f"event_type: expected one of {known}; given was {shorten_json(name)}"
        raise SchemaError("field_invalid", text, field="event_type")
    if name not in EVENT_TYPES:
        raise SchemaError(
            "event_type_unknown",
            f"event_type {name[:100]!r} is not one of {known}",
            field="event_type",
        )
    try:
        event = msgspec.convert(body, EVENT_TYPES[name])
    except msgspec.ValidationError as error:
        raise from_validation(error, body, CHOICES) from None
    try:
        event.occurred_at.astimezone(UTC)
    except OverflowError:  # in year 1 or 9999, and outside them in UTC
        raise SchemaError(
            "field_invalid",
            f"occurred_at: out of range in UTC; given was {shorten_json(body['occurred_at'])}",
            field="occurred_at",
        ) from None
    return event
