"""A replayed event has the order of its original, however often it failed."""

import json

from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.dead_letters import Fault, dead_letter
from streams.ingest.order import ORDER_HEADER, OrderMode, parse_place
from streams.ingest.outcome import read_event
from streams.kafka.messages import SourceMessage
from streams.tools.dlq.dead_letters import DeadLetter
from streams.tools.dlq.replay import ProductTopics, replay_message
from tests.support.event_strategies import good_events
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.contracts.errors import SchemaError

FAULT = Fault("fetch", "image_http_404", "gone")
TOPICS = ProductTopics({"product-events": 4}, lambda _: None)
places = st.tuples(st.integers(0, 3), st.integers(0, 2**40), st.integers(0, 4 * 10**12))
headers = st.lists(st.tuples(st.sampled_from(["a", "traceparent"]), st.binary(max_size=4)))


def arrived(message: OutgoingMessage, place: tuple[int, int, int], *, own_time: bool) -> DeadLetter:
    """Return what was sent as it is read again; LogAppendTime replaces its time."""
    partition, offset, now_ms = place
    kept = message.timestamp_ms if own_time else None
    source = SourceMessage(
        message.topic, message.partition if message.partition is not None else partition, offset,
        now_ms if kept is None else kept, message.key, message.value, message.headers,
    )  # fmt: skip
    return DeadLetter(source)


REPLAYS = st.tuples(
    good_events(), st.booleans(), headers, st.lists(places, min_size=2, max_size=4),
    st.sampled_from(["timestamp", "explicit"]),
)  # fmt: skip
Replays = tuple[dict[str, object], bool, Headers, list[tuple[int, int, int]], OrderMode]


def check_replays(replays: Replays) -> None:
    """Check that key, value, headers, time and order stay, whenever an event is replayed."""
    event, null, given_headers, visits, mode = replays
    if mode == "explicit":
        event, null = event | {"version": 5}, False
    key = str(event["product"]["product_id"]).encode()  # type: ignore[index]  # an object
    value = None if null else json.dumps(event).encode()
    partition, offset, now_ms = visits[0]
    first = SourceMessage(
        "product-events", partition, offset, now_ms, key, value, tuple(given_headers)
    )
    message, wanted = first, read_event(first, mode)
    for visit in visits[1:]:
        letter = arrived(dead_letter("dead-letters", message, FAULT), visit, own_time=True)
        message = arrived(replay_message(letter, TOPICS), visit, own_time=False).message
        read = read_event(message, mode)
        assert (read.order, read.event.occurred_at) == (wanted.order, wanted.event.occurred_at)
        assert (message.key, message.value) == (key, value)
        assert message.partition == partition
        assert message.headers[:-1] == first.headers
    assert [name for name, _ in message.headers].count(ORDER_HEADER) == 1


@given(REPLAYS)
def test_a_replayed_event_has_the_order_of_its_original(replays: Replays) -> None:
    """Each visit fails and is replayed."""
    check_replays(replays)


@given(st.binary(max_size=30) | st.from_regex(rb"-?[0-9]{1,20},[0-9]{1,20}", fullmatch=True))
def test_any_order_header_is_an_order_or_a_schema_error(value: bytes) -> None:
    """Whoever wrote it: no other exception, and never a number that the log cannot hold."""
    message = SourceMessage("t", 0, 7, 1000, b"p", None, ((ORDER_HEADER, value),))
    place, refused = parse_place(value), None
    try:
        order = read_event(message, "timestamp").order
    except SchemaError as error:
        refused = error.code
    if place is None:
        assert refused == "order_header_invalid"
    elif refused is None:
        assert order[:2] == (place.timestamp_ms, place.offset)
        assert max(order) < 2**63
        assert parse_place(place.header[1]) == place
    else:
        assert refused == "timestamp_invalid"  # a null has no other time than this
