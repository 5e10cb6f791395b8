"""The codec on anything: it raises only SchemaError, round-trips, and agrees with its schema."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.codec import decode_event
from schemas.errors import SchemaError
from schemas.events import EVENT_TYPES, ProductEvent, encode_event
from schemas.generate import json_schema
from schemas.records import KINDS, UnknownRecordError, decode_record
from schemas.search import SearchRequest, decode_request, salvage_request_id

SCHEMAS = {
    name: jsonschema.Draft202012Validator(json_schema(name))
    for name in (*EVENT_TYPES, "search-request")
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_time", "traceparent"]),
        st.none() | st.binary(max_size=12) | st.just(b"com.shop.product-deleted"),
    ),
    max_size=5,
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return dicts in which each field is absent, null or drawn."""
    return st.fixed_dictionaries(
        {}, optional={name: st.none() | drawn for name, drawn in fields.items()}
    )


prices = st.floats(0, 1e9) | st.integers(0, 10**6)
offers = optional(price=prices, currency=st.sampled_from(["EUR", "USD"]), in_stock=st.booleans())
images = st.builds(
    lambda source, extra, kind: source | extra | kind,
    st.fixed_dictionaries({"url": names}) | st.fixed_dictionaries({"data": texts}),
    optional(image_id=names),
    st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["catalog", "lifestyle"])}),
)
descriptions = st.builds(
    lambda required, extra, offer: required | extra | offer,
    st.fixed_dictionaries({"title": names, "images": st.lists(images, max_size=3)}),
    optional(
        description=texts, brand=names, category=names, tags=st.lists(names, max_size=3),
        attributes=st.dictionaries(texts, texts, max_size=3), url=names,
    ),
    offers,
)  # fmt: skip
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis wants naive bounds
    datetime.isoformat
)


@st.composite
def good_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event of any type that should be accepted."""
    name = draw(st.sampled_from(list(EVENT_TYPES)))
    product = {"product_id": draw(names)}
    if name in {"product-created", "product-updated"}:
        product |= draw(descriptions)
    elif name == "product-offer-updated":
        product |= draw(offers)
    event = {
        "event_id": draw(names),
        "event_type": name,
        "occurred_at": draw(moments),
        "product": product,
    }
    return event | draw(optional(version=st.integers(0, 2**63 - 1)))


def decode(event: Any) -> ProductEvent:
    """Decode a JSON event under the key that it names."""
    key = "p"
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        key = event["product"]["product_id"]
    raw_key = key.encode() if isinstance(key, str) else b"p"
    value = json.dumps(event).encode()
    return decode_event(value, key=raw_key, headers=[], timestamp_ms=0, source="t[0]@0")


def twins(event: dict[str, Any]) -> bool:
    """Tell whether two pictures share an id: the one rule that no schema can say."""
    images = event["product"].get("images", ())
    given_ids = [image["image_id"] for image in images if image.get("image_id") is not None]
    return len(given_ids) != len(set(given_ids))


def paths(node: Any, path: str = "") -> list[str]:
    """Return the path of every value within an event, as errors name it."""
    if isinstance(node, dict):
        steps = {f"{path}.{name}" if path else name: value for name, value in node.items()}
    elif isinstance(node, list):
        steps = {f"{path}[{number}]": value for number, value in enumerate(node)}
    else:
        return []
    return [*steps, *(found for step, value in steps.items() for found in paths(value, step))]


@given(good_events())
def test_what_the_schema_allows_the_codec_takes(event: dict[str, Any]) -> None:
    """And what the codec takes is valid, also as we would encode it ourselves."""
    assume(not twins(event))
    SCHEMAS[event["event_type"]].validate(event)
    decoded = decode(event)
    assert decode(json.loads(encode_event(decoded))) == decoded
    SCHEMAS[event["event_type"]].validate(json.loads(encode_event(decoded)))


@settings(max_examples=400)
@given(good_events(), st.data())
def test_one_spoilt_field_is_refused_by_both_and_named(
    event: dict[str, Any], data: st.DataObject
) -> None:
    """What the schema refuses at a path, the codec refuses, naming that path or one within it.

    What the codec accepts after the change is valid: neither is stricter than the other, but for
    formats of dates and whole numbers written as 1.0.
    """
    known = [path for path in paths(event) if not path.startswith("product.attributes.")]
    path = data.draw(st.sampled_from(known))
    bad = data.draw(anything)
    steps = path.replace("[", ".").replace("]", "").split(".")
    target: Any = event
    for step in steps[:-1]:
        target = target[int(step) if isinstance(target, list) else step]
    target[int(steps[-1]) if isinstance(target, list) else steps[-1]] = bad
    name = event["event_type"]
    schema = SCHEMAS[name] if isinstance(name, str) and name in SCHEMAS else None
    try:
        decode(event)
    except SchemaError as error:
        refused = error
    else:
        assert schema is not None
        schema.validate(event)
        return
    if schema is None:
        assert refused.field == "event_type"
    elif not schema.is_valid(event):
        assert refused.field is not None
        owner = path.rpartition(".")[0]  # url and data are judged together, at their picture
        assert refused.field.startswith(path) or refused.field == owner, (refused.field, path)


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20), headers)
def test_random_bytes_raise_only_schema_errors(
    value: bytes, key: bytes | None, head: list[tuple[str, bytes | None]]
) -> None:
    """Whatever a topic holds, a lane gets an event or a coded refusal."""
    with contextlib.suppress(SchemaError):
        decode_event(value, key=key, headers=head, timestamp_ms=0, source="t[0]@0")
    with contextlib.suppress(SchemaError):
        decode_request(value)
    assert len(salvage_request_id(value, key)) <= 256


members = st.sampled_from(
    ["event_id", "event_type", "occurred_at", "product", "specversion", "type", "id", "time",
     "data", "product_id", "images", "request_id", "query", "filters", "texts"]
)  # fmt: skip
near_misses = st.recursive(
    scalars | st.sampled_from([*EVENT_TYPES, "2026-05-01T12:00:00Z", "p"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=6),
    max_leaves=15,
)


@settings(max_examples=300)
@given(near_misses, headers)
def test_random_json_raises_only_schema_errors(
    body: Any, head: list[tuple[str, bytes | None]]
) -> None:
    """Objects made of the right words in wrong places reach deep into the codec."""
    value = msgspec.json.encode(body)
    with contextlib.suppress(SchemaError):
        decode_event(value, key=b"p", headers=head, timestamp_ms=0, source="t[0]@0")
    with contextlib.suppress(SchemaError):
        decode_request(value)
    assert len(salvage_request_id(value, b"p")) <= 256


@given(st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=300))
def test_a_null_is_a_delete_or_refused(timestamp_ms: int, key: bytes | None) -> None:
    """At any timestamp, under any key."""
    with contextlib.suppress(SchemaError):
        event = decode_event(None, key=key, headers=[], timestamp_ms=timestamp_ms, source="t[0]@0")
        assert event.product.product_id.encode() == key


@given(
    st.sampled_from([*KINDS, "other"]), st.none() | st.binary(max_size=20), st.binary(max_size=99)
)
def test_random_records_are_decoded_or_skipped(kind: str, key: bytes | None, value: bytes) -> None:
    """A reader of the index log never dies of a record."""
    for each in (key, kind.encode() + b":p"):
        with contextlib.suppress(UnknownRecordError):
            decode_record(each, value)


@given(st.from_type(SearchRequest))
def test_requests_round_trip_and_are_valid(request: SearchRequest) -> None:
    """What an app builds from the types is what the worker reads."""
    encoded = msgspec.json.encode(request)
    try:
        decoded = decode_request(encoded)
    except SchemaError:
        return
    assert decoded == request
    SCHEMAS["search-request"].validate(json.loads(encoded))
