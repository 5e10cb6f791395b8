"""The codec refuses every kind of malformed message with the code that is promised for it."""

import json

import pytest

from tests.support.malformed import (
    MISSING,
    WRONG,
    Malformed,
    drop,
    good_event,
    malformed_messages,
    put,
)
from tests.support.malformed_requests import WRONG as WRONG_REQUESTS
from tests.support.malformed_requests import spoilt
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import ProductEvent
from visualsearch.contracts.search import decode_request


def decode(message: Malformed) -> ProductEvent:
    """Decode as a pipeline does."""
    return decode_event(
        message.value,
        key=message.key,
        headers=message.headers,
        timestamp_ms=1_777_636_800_000,
        source="product-events[0]@1",
    )


def test_the_good_event_that_the_others_spoil_is_good() -> None:
    """Without this, every refusal below could have one and the same wrong reason."""
    for kind in ("product-created", "product-updated", "product-offer-updated", "product-deleted"):
        value = json.dumps(good_event("p", kind)).encode()
        event = decode(Malformed(b"p", value, (), "", ""))
        assert event.product.product_id == "p"


def test_a_thousand_malformed_messages_of_many_kinds_are_refused_with_their_code() -> None:
    """All kinds occur, each in several variants."""
    messages = malformed_messages(1000, seed=7)
    assert len(messages) == 1000
    assert len({message.kind for message in messages}) >= 40
    for message in messages:
        with pytest.raises(SchemaError) as refusal:
            decode(message)
        assert refusal.value.code == message.code, (message.kind, message.value[:300])


def test_the_seed_decides_everything() -> None:
    """A failing run can be repeated."""
    assert malformed_messages(200, seed=1) == malformed_messages(200, seed=1)
    assert malformed_messages(200, seed=1) != malformed_messages(200, seed=2)


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values in WRONG for value in values],
    ids=lambda part: str(part)[:40],
)
def test_a_wrong_value_is_refused_with_its_field(path: str, value: object) -> None:
    """The path in the refusal is the path of the culprit."""
    message = json.dumps(put(good_event("p"), path, value)).encode()
    with pytest.raises(SchemaError) as refusal:
        decode(Malformed(b"p", message, (), "", ""))
    assert refusal.value.code == "field_invalid"
    assert refusal.value.field == path


@pytest.mark.parametrize("path", MISSING)
def test_a_missing_field_is_named(path: str) -> None:
    """Required fields have no default."""
    message = json.dumps(drop(good_event("p"), path)).encode()
    with pytest.raises(SchemaError) as refusal:
        decode(Malformed(b"p", message, (), "", ""))
    assert (refusal.value.code, refusal.value.field) == ("field_missing", path)


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values in WRONG_REQUESTS for value in values],
    ids=lambda part: str(part)[:40],
)
def test_a_request_of_a_wrong_value_is_refused_with_its_field(path: str, value: object) -> None:
    """Before it comes to a worker's index."""
    with pytest.raises(SchemaError) as refusal:
        decode_request(json.dumps(spoilt("r", path, value)).encode())
    assert (refusal.value.code, refusal.value.field) == ("field_invalid", path)
