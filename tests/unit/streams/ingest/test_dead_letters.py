"""Dead letters: verbatim, unless they would not fit."""

import pytest

from streams.ingest.dead_letters import PREFIX, ROOM, Fault, dead_letter
from streams.kafka.messages import SourceMessage
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import MAX_BYTES

FAULT = Fault("decode", "not_json", "the value is not JSON", attempts=2)


def source(
    key: bytes | None = b"k",
    value: bytes | None = b"v",
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> SourceMessage:
    """Return a message that could not be used."""
    return SourceMessage("product-events", 3, 42, 1_700_000_000_123, key, value, headers)


def facts(letter: OutgoingMessage) -> dict[str, str]:
    """Return what the letter says of its error."""
    return {
        name.removeprefix(PREFIX): (value or b"").decode()
        for name, value in letter.headers
        if name.startswith(PREFIX)
    }


@pytest.mark.parametrize("key", [b"k", b"", None, b"\xff"])
@pytest.mark.parametrize("value", [b"v", b"", None, b"\xff\x00"])
def test_key_value_headers_and_timestamp_are_kept(key: bytes | None, value: bytes | None) -> None:
    """Nulls and empties stay what they are; repeated headers too."""
    headers = (("a", b"1"), ("a", None), ("b", b"\xff"))
    letter = dead_letter("dead-letters", source(key, value, headers), FAULT)
    assert (letter.topic, letter.key, letter.value) == ("dead-letters", key, value)
    assert letter.headers[:3] == headers
    assert letter.timestamp_ms == 1_700_000_000_123
    assert facts(letter) == {
        "topic": "product-events", "partition": "3", "offset": "42", "stage": "decode",
        "code": "not_json", "message": "the value is not JSON", "attempts": "2",
    }  # fmt: skip


def test_facts_of_an_earlier_failure_are_replaced() -> None:
    """A replayed letter that fails again tells of its last failure only."""
    old = ((PREFIX + "code", b"image_http_404"), ("own", b"x"))
    letter = dead_letter("dead-letters", source(headers=old), FAULT)
    assert [value for name, value in letter.headers if name == PREFIX + "code"] == [b"not_json"]
    assert letter.headers[0] == ("own", b"x")


@pytest.mark.parametrize(
    ("message", "omitted"),
    [
        (source(value=bytes(ROOM)), {"value": ROOM}),
        (source(value=b"v", headers=(("h", bytes(ROOM)),)), {"value": 1, "headers": ROOM + 17}),
        (source(key=bytes(ROOM + 1)), {"value": 1, "headers": 0, "key": ROOM + 1}),
    ],
    ids=["value", "headers", "key"],
)
def test_what_does_not_fit_is_left_out_with_its_length(
    message: SourceMessage, omitted: dict[str, int]
) -> None:
    """A letter always fits into its topic, and still points to the original."""
    letter = dead_letter("dead-letters", message, FAULT)
    told = facts(letter)
    assert {n.removesuffix("_omitted"): int(v) for n, v in told.items() if "_omitted" in n} == (
        omitted
    )
    size = len(letter.key or b"") + len(letter.value or b"")
    size += sum(len(name) + len(value or b"") for name, value in letter.headers)
    assert size < MAX_BYTES - 32 * 1024
    assert told["offset"] == "42"


def test_a_value_that_just_fits_is_kept() -> None:
    """One byte less than what is left out."""
    letter = dead_letter("dead-letters", source(value=bytes(ROOM - 1)), FAULT)
    assert len(letter.value or b"") == ROOM - 1


def test_a_long_message_is_cut() -> None:
    """Headers are no place for a page of text."""
    letter = dead_letter("dead-letters", source(), Fault("decode", "c", "x" * 9000))
    assert len(facts(letter)["message"]) == 2000
