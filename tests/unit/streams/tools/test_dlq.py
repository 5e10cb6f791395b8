"""Dead letters after the fact: what they tell, which are meant, what is published again."""

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.ingest.dead_letters import PREFIX, ROOM, Fault, dead_letter
from streams.ingest.order import ORDER_HEADER, OriginalPosition
from streams.kafka.messages import SourceMessage
from streams.kafka.scan import parse_since_ms
from streams.tools.dlq.dead_letters import (
    DeadLetter,
    DeadLetterError,
    DeadLetterPosition,
    Selection,
    parse_position,
)
from streams.tools.dlq.replay import ProductTopics, replay, replay_message
from streams.tools.dlq.show import as_text, printable, readable
from streams.tools.fsck import values as fsck
from streams.tools.fsck.failures import failures
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOPICS = ProductTopics({"product-events": 4}, lambda _: None)


def letter(
    at: int = 0, *, code: str = "image_http_404", by_producer: bool = True, **changed: Any
) -> DeadLetter:
    """Return a dead letter as it is read, at offset `at`."""
    fields: dict[str, Any] = {
        "topic": "product-events", "partition": 3, "offset": 42, "timestamp_ms": 1000,
        "key": b"p", "value": b"{}", "headers": (("own", b"1"),),
    }  # fmt: skip
    sent = dead_letter(
        "dead-letters", SourceMessage(**(fields | changed)), Fault("fetch", code, "no")
    )
    assert sent.timestamp_ms is not None
    return DeadLetter(
        SourceMessage(sent.topic, 0, at, sent.timestamp_ms, sent.key, sent.value, sent.headers),
        by_producer,
    )


class Broker:
    """Takes what is sent; a value `large` is refused for its size, `away` for no reason of its."""

    def __init__(self) -> None:
        self.sent: list[OutgoingMessage] = []

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Answer at once."""
        future: Future[None] = Future()
        if message.value in (b"large", b"away"):
            future.set_exception(SendError("no", too_large=message.value == b"large"))
        else:
            self.sent.append(message)
            future.set_result(None)
        return future


@pytest.mark.parametrize(
    ("text", "position"),
    [("0@12", DeadLetterPosition(0, 12)), ("3@0", DeadLetterPosition(3, 0)),
     ("p", None), ("@1", None), ("1@", None), ("a@1", None), ("1@2@3", None), ("-1@2", None)],
)  # fmt: skip
def test_a_place_is_told_from_a_product(text: str, position: DeadLetterPosition | None) -> None:
    """`partition@offset`, anything else is a product id."""
    assert parse_position(text) == position
    assert position is None or str(position) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", "2026-05-01T11:58:30+00:00"), ("30m", "2026-05-01T11:30:00+00:00"),
     ("12h", "2026-05-01T00:00:00+00:00"), ("7d", "2026-04-24T12:00:00+00:00"),
     ("2026-01-31", "2026-01-31T00:00:00+00:00"),
     ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00+00:00")],
)  # fmt: skip
def test_since_is_an_age_or_a_time(text: str, wanted: str) -> None:
    """In UTC unless it says otherwise."""
    assert parse_since_ms(text, NOW) == datetime.fromisoformat(wanted).timestamp() * 1000


@pytest.mark.parametrize("text", ["", "5", "5w", "-5m", "yesterday"])
def test_since_refuses_what_is_neither(text: str) -> None:
    """ValueError, which the command line words."""
    with pytest.raises(ValueError):
        parse_since_ms(text, NOW)


def test_a_letter_tells_its_story() -> None:
    """All that the error's headers hold, and the original's own headers apart."""
    row = letter(7).as_dict(whole=True)
    assert row == {
        "position": "0@7", "time": "1970-01-01T00:00:01+00:00", "product_id": "p",
        "original": "product-events[3]@42", "topic": "product-events", "stage": "fetch",
        "code": "image_http_404", "message": "no", "attempts": 1, "value_bytes": 2,
        "omitted": {}, "replayed": False, "value": "{}", "headers": [["own", "1"]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "meant"),
    [(Selection(), True),
     (Selection(code="image_http_404"), True), (Selection(code="not_json"), False),
     (Selection(product="p"), True), (Selection(product="q"), False),
     (Selection(topic="product-events"), True), (Selection(topic="product-deleted"), False),
     (Selection(since_ms=1000), True), (Selection(since_ms=1001), False),
     (Selection(positions=frozenset({DeadLetterPosition(0, 7)})), True),
     (Selection(positions=frozenset({DeadLetterPosition(0, 8)})), False),
     (Selection(code="image_http_404", product="q"), False)],
)  # fmt: skip
def test_every_clause_must_hold(selection: Selection, meant: bool) -> None:
    """Of what is given; what is not given does not narrow."""
    assert selection.matches(letter(7)) is meant


def test_a_replay_is_the_original_with_its_order() -> None:
    """Same topic, partition, key, value and headers; ours are gone but for the order."""
    message = replay_message(letter(), TOPICS)
    assert message == OutgoingMessage(
        "product-events", b"p", b"{}", partition=3,
        headers=(("own", b"1"), OriginalPosition(1000, 42).header),
    )  # fmt: skip


def test_a_replay_that_failed_again_keeps_the_first_order() -> None:
    """Its letter has the replay's offset and time, but carries the header."""
    again = letter(offset=90, timestamp_ms=9000, headers=(OriginalPosition(1000, 42).header,))
    assert replay_message(again, TOPICS).headers == (OriginalPosition(1000, 42).header,)


def test_a_replay_puts_a_bad_order_header_right() -> None:
    """An event that was refused for its header gets the order of where it stood."""
    bad = letter(code="order_header_invalid", headers=((ORDER_HEADER, b"soon"),))
    assert replay_message(bad, TOPICS).headers == (OriginalPosition(1000, 42).header,)


def test_a_topic_made_anew_with_fewer_partitions_takes_the_key() -> None:
    """There is no partition 3 any more."""
    message = replay_message(letter(), ProductTopics({"product-events": 2}, lambda _: None))
    assert message.partition is None


@pytest.mark.parametrize(
    ("refused", "code"),
    [(letter(topic="product-retry"), "original_topic_unknown"),
     (letter(by_producer=False), "original_order_unknown"),
     (letter(value=bytes(ROOM)), "original_gone")],
)  # fmt: skip
def test_what_cannot_be_replayed_says_why(refused: DeadLetter, code: str) -> None:
    """Not a product event, its time lost, or its value left out and its original gone."""
    with pytest.raises(DeadLetterError) as caught:
        replay_message(refused, TOPICS)
    assert caught.value.code == code
    if code != "original_order_unknown":
        assert refused.original in str(caught.value)


def test_what_was_left_out_is_read_again_from_where_it_came() -> None:
    """Value, headers and order are then those of the original, an earlier replay among them."""
    original = SourceMessage(
        "product-events",
        3,
        42,
        1000,
        b"p",
        b"large once",
        (("h", b"2"), OriginalPosition(5, 6).header),
    )
    topics = ProductTopics({"product-events": 4}, lambda _: original)
    message = replay_message(letter(value=bytes(ROOM)), topics)
    assert (message.value, message.headers) == (
        b"large once",
        (("h", b"2"), OriginalPosition(5, 6).header),
    )


def test_an_event_with_several_letters_is_published_once() -> None:
    """Two of its images failed, then its replay did; another event is another."""
    again = letter(3, offset=90, timestamp_ms=9000, headers=(OriginalPosition(1000, 42).header,))
    broker = Broker()
    rows = list(replay([letter(1), letter(2), again, letter(4, offset=43)], TOPICS, broker))
    assert sorted((row.position, row.outcome) for row in rows) == [
        ("0@1", "replayed"), ("0@2", "same_event"), ("0@3", "same_event"), ("0@4", "replayed"),
    ]  # fmt: skip
    assert len(broker.sent) == 2


def test_a_dry_run_and_refusals_are_told_letter_by_letter() -> None:
    """What Kafka refuses for its size is refused; a broker that is away ends the command."""
    (row,) = replay([letter()], TOPICS, None)
    assert (row.outcome, row.to) == ("would_replay", "product-events[3]")
    (row,) = replay([letter(value=b"large")], TOPICS, Broker())
    assert (row.outcome, row.reason_code) == ("refused", "event_too_large")
    with pytest.raises(SendError):
        list(replay([letter(value=b"away")], TOPICS, Broker()))


def test_a_letter_without_error_headers_is_refused_not_fatal() -> None:
    """Somebody else may write to the topic."""
    stranger = DeadLetter(SourceMessage("dead-letters", 0, 1, 1000, None, b"?", ((PREFIX, None),)))
    assert stranger.as_dict()["original"] == "[?]@?"
    (row,) = replay([stranger], TOPICS, Broker())
    assert row.reason_code == "original_topic_unknown"


def test_values_are_shown_for_people() -> None:
    """JSON is indented, images in base64 are cut, what is no JSON stays text."""
    assert readable(None) == "null (a delete)"
    assert readable(b'{"a":1}') == '{\n  "a": 1\n}'
    assert readable(b'{"data":"%s"}' % (b"x" * 5000)).endswith('… (5,000 characters)"\n}')
    assert readable(b"{\xff") == "{\\xff"
    assert readable(b"[" * 100_000).endswith("… (100,000 bytes)")
    assert len(readable(b"x" * 9000)) < 4100
    assert as_text(b"\xff") == {"base64": "/w=="}
    assert printable("a\x1b[2J\u202eb\n") == "a\\x1b[2J\\u202eb\n"


def test_a_dead_letter_of_forged_numbers_is_shown_all_the_same() -> None:
    """5,000 digits are more than `int` reads: one such dead letter ended `dlq list`."""
    names = ("partition", "offset", "attempts", "value_omitted")
    for digits in (b"9" * 5000, "٣".encode(), b"-1"):
        headers = tuple((PREFIX + name, digits) for name in names)
        whole = ((PREFIX + "topic", b"product-events"), (PREFIX + "code", b"c"), *headers)
        forged = DeadLetter(SourceMessage("dead-letters", 0, 0, 0, b"p", b"{}", whole))
        row = forged.as_dict(whole=True)
        assert (row["attempts"], row["omitted"]) == (None, {})
        (told,) = replay([forged], TOPICS, Broker())
        assert (told.outcome, told.reason_code) == ("refused", "original_order_unknown")
        assert failures([fsck.Message("dead-letters", 0, 0, 0, b"p", b"{}", whole)]) == {}


def test_a_value_of_too_many_parts_is_shown_as_text() -> None:
    """Indented JSON of it takes gigabytes."""
    assert readable(b"[" + b"{}," * 1_000_000 + b"0]").endswith("… (3,000,003 bytes)")
