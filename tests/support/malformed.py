"""Messages that no product topic should carry, of many kinds, each with the code of its refusal.

Valid base64 that is not an image is not among them: the codec lets it through, and the embedding
lane finds it.
"""

import copy
import gzip
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]
Event = dict[str, Any]


class Malformed(NamedTuple):
    """One message and the code that decoding it must give; `kind` says what is wrong with it."""

    key: bytes | None
    value: bytes
    headers: Headers
    code: str
    kind: str


def good_event(product_id: str, event_type: str = "product-created") -> Event:
    """Return an event that is accepted; every malformed one is such an event with one fault."""
    return {
        "event_id": f"event-{product_id}",
        "event_type": event_type,
        "occurred_at": "2026-05-01T12:00:00Z",
        "product": {
            "product_id": product_id,
            "title": "Blue linen shirt",
            "images": [{"image_id": "front", "url": "http://127.0.0.1:9/front.jpg"}],
            "tags": ["linen"],
            "attributes": {"fit": "slim"},
            "price": 29.9,
            "currency": "EUR",
            "in_stock": True,
        },
    }


def malformed_messages(n: int, seed: int) -> list[Malformed]:
    """Return n messages, kind by kind in turn, in an order that the seed decides.

    Product ids start with `malformed-`, so that a test can look for them in the index.
    """
    rng = random.Random(seed)
    makers = itertools.cycle(_makers())
    messages = [
        maker(f"malformed-{number}", rng) for number, maker in zip(range(n), makers, strict=False)
    ]
    rng.shuffle(messages)
    return messages


Maker = Callable[[str, random.Random], Malformed]

# path in the event, values that do not fit it; the path is the field that the refusal must name
WRONG: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("event_id", (7, None, "", "x" * 1025, ["e"])),
    ("event_type", (7, ["product-created"], {}, True)),
    ("occurred_at", ("yesterday", "", 1767225600, None, "2026-13-01T00:00:00Z")),
    ("occurred_at", ("2026-05-01T12:00:00", "2026-05-01")),
    ("occurred_at", ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")),
    ("version", (-1, "1", 1.5, 2**63, 2**70, True)),
    ("product", (None, [], "p", 5)),
    ("product.product_id", (7, None, "", "x" * 257)),
    ("product.title", (7, None, "", "x" * 1025, {})),
    ("product.images", (None, "http://127.0.0.1:9/a.jpg", {}, [{"url": "a"}] * 101)),
    ("product.images[0]", ("http://127.0.0.1:9/a.jpg", None, 5, [])),
    ("product.images[0]", ({}, {"image_id": "front"}, {"url": None})),
    ("product.images[0]", ({"url": "http://127.0.0.1:9/a.jpg", "data": "aGk="},)),
    ("product.images[0].url", (5, "", "x" * 4097, ["a"])),
    ("product.images[0].image_id", (5, "", "x" * 257)),
    ("product.images[0].kind", ("front", "", 5, None)),
    ("product.description", (5, ["text"], "x" * 65537)),
    ("product.brand", (5, "", "x" * 1025)),
    ("product.category", (5, "", ["Shirts"])),
    ("product.tags", ("linen", {}, 5, ["linen"] * 1001)),
    ("product.tags[0]", (5, None, "", ["linen"], "x" * 1025)),
    ("product.attributes", ("slim", [], 5, {str(n): "" for n in range(1001)}, {"x" * 1025: ""})),
    ("product.attributes[...]", ({"fit": 5}, {"fit": None}, {"fit": ["slim"]})),
    ("product.attributes[...]", ({"fit": "x" * 65537}, {"a": "", "fit": {}})),
    ("product.url", (5, "", "x" * 4097)),
    ("product.price", (-0.01, -1, "29.90", True, [29.9], 1.1e15, 1e308)),
    ("product.currency", ("eur", "EURO", "€", "EUR\n", 978)),
    ("product.in_stock", ("yes", 1, "true", [])),
)

MISSING = (
    "event_id", "event_type", "occurred_at", "product",
    "product.product_id", "product.title", "product.images",
)  # fmt: skip


def put(event: Event, path: str, value: Any) -> Event:
    """Return a copy of the event with a value at a path like `product.images[0].url`."""
    event = copy.deepcopy(event)
    *parents, last = path.removesuffix("[...]").replace("[", ".").replace("]", "").split(".")
    target: Any = event
    for step in parents:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return event


def drop(event: Event, path: str) -> Event:
    """Return a copy of the event without the field at a path."""
    event = copy.deepcopy(event)
    *parents, last = path.split(".")
    target: Any = event
    for step in parents:
        target = target[step]
    del target[last]
    return event


def _makers() -> Iterator[Maker]:
    for path, values in WRONG:
        yield _wrong(path, values)
    for path in MISSING:
        yield _missing(path)
    yield from (_not_json, _not_an_object, _bad_key, _other_type, _twin_images)
    yield from (_truncated, _compressed, _nested, _bad_utf8, _not_finite, _trailing)
    yield from (_framed, _too_deep)
    yield from (_binary_cloudevent, _structured_cloudevent)


def _message(product_id: str, value: Any, code: str, kind: str, headers: Headers = ()) -> Malformed:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Malformed(product_id.encode(), raw, headers, code, kind)


def _wrong(path: str, values: tuple[Any, ...]) -> Maker:
    def make(product_id: str, rng: random.Random) -> Malformed:
        event = put(good_event(product_id), path, rng.choice(values))
        return _message(product_id, event, "field_invalid", f"wrong {path}: {str(values)[:40]}")

    return make


def _missing(path: str) -> Maker:
    def make(product_id: str, _: random.Random) -> Malformed:
        event = drop(good_event(product_id), path)
        return _message(product_id, event, "field_missing", f"no {path}")

    return make


def _not_json(product_id: str, rng: random.Random) -> Malformed:
    value = rng.choice(
        (b"", b" ", b"hello", b"<xml/>", b"{'a': 1}", b"\x00" * 64, rng.randbytes(9))
    )
    return _message(product_id, b"\xfe" + value if value else value, "not_json", "not JSON")


def _not_an_object(product_id: str, rng: random.Random) -> Malformed:
    value = rng.choice(([], [good_event(product_id)], 42, -1.5, "product-created", True, None))
    return _message(product_id, value, "not_an_object", "JSON, not an object")


def _bad_key(product_id: str, rng: random.Random) -> Malformed:
    key, code = rng.choice(
        (
            (None, "key_missing"),
            (b"", "key_missing"),
            (b"\xff\xfe", "key_invalid"),
            (b"k" * 257, "key_invalid"),
            (b"\0\0\0\0\7" + product_id.encode(), "key_invalid"),
            (b"\0", "key_invalid"),
            (json.dumps(product_id).encode(), "key_mismatch"),
            (b"another-product", "key_mismatch"),
        )
    )
    value = json.dumps(good_event(product_id)).encode()
    return Malformed(key, value, (), code, "key")


def _other_type(product_id: str, rng: random.Random) -> Malformed:
    name = rng.choice(("", "product-sold", "PRODUCT-CREATED", "created", "shop.product-created"))
    event = good_event(product_id, name)
    return _message(product_id, event, "event_type_unknown", "unknown event type")


def _twin_images(product_id: str, _: random.Random) -> Malformed:
    event = good_event(product_id)
    event["product"]["images"] *= 2
    return _message(product_id, event, "field_invalid", "two pictures with one id")


def _truncated(product_id: str, rng: random.Random) -> Malformed:
    value = json.dumps(good_event(product_id)).encode()
    cut = rng.randrange(1, len(value))
    return _message(product_id, value[:cut], "not_json", "truncated JSON")


def _compressed(product_id: str, _: random.Random) -> Malformed:
    value = gzip.compress(json.dumps(good_event(product_id)).encode(), mtime=0)
    return _message(product_id, value, "not_json", "gzip")


def _nested(product_id: str, rng: random.Random) -> Malformed:
    opening = rng.choice((b"[", b'{"a":'))
    return _message(product_id, opening * 20_000, "not_json", "huge nesting")


def _framed(product_id: str, rng: random.Random) -> Malformed:
    value = b"\0" + rng.randbytes(4) + json.dumps(good_event(product_id)).encode()
    return _message(product_id, value, "schema_registry_framed", "framed by a schema registry")


def _too_deep(product_id: str, rng: random.Random) -> Malformed:
    depth = rng.choice((64, 300, 900))
    extra = b'"extra":' + b"[" * depth + b"]" * depth
    value = b"{" + extra + b"," + json.dumps(good_event(product_id)).encode()[1:]
    return _message(product_id, value, "not_json", "whole, but nested too deep")


def _bad_utf8(product_id: str, _: random.Random) -> Malformed:
    value = json.dumps(good_event(product_id)).encode().replace(b"linen", b"l\xffnen")
    return _message(product_id, value, "not_json", "bad UTF-8")


def _not_finite(product_id: str, rng: random.Random) -> Malformed:
    number = rng.choice((b"NaN", b"Infinity", b"-Infinity", b"1e400"))
    value = json.dumps(good_event(product_id)).encode().replace(b"29.9", number)
    return _message(product_id, value, "not_json", "not a finite number")


def _trailing(product_id: str, rng: random.Random) -> Malformed:
    value = json.dumps(good_event(product_id)).encode() + rng.choice((b"x", b"{}", b",", b"\x00"))
    return _message(product_id, value, "not_json", "trailing bytes")


def _binary_cloudevent(product_id: str, rng: random.Random) -> Malformed:
    attributes: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"event-1",
        "ce_type": b"com.shop.product-created",
        "ce_time": b"2026-05-01T12:00:00Z",
    }
    name, bad, code = rng.choice(
        (
            ("ce_id", None, "field_missing"),
            ("ce_type", None, "field_missing"),
            ("ce_time", None, "field_missing"),
            ("ce_id", b"", "field_invalid"),
            ("ce_type", b"com.shop.order-created", "event_type_unknown"),
            ("ce_time", b"noon", "field_invalid"),
        )
    )
    headers = tuple((attributes | {name: bad}).items())
    product = good_event(product_id)["product"]
    return _message(product_id, product, code, "binary CloudEvent", headers)


def _structured_cloudevent(product_id: str, rng: random.Random) -> Malformed:
    envelope = {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/catalogue",
        "type": "com.shop.product-created",
        "time": "2026-05-01T12:00:00Z",
        "data": good_event(product_id)["product"],
    }
    name, bad, code = rng.choice(
        (
            ("data", None, "field_invalid"),
            ("data", "text", "field_invalid"),
            ("data", {"product": 5}, "field_invalid"),
            ("id", 5, "field_invalid"),
            ("type", ["product-created"], "field_invalid"),
            ("type", "com.shop.order-created", "event_type_unknown"),
            ("time", "noon", "field_invalid"),
        )
    )
    return _message(product_id, envelope | {name: bad}, code, "structured CloudEvent")
