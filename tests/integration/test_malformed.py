"""A thousand messages that no product topic should carry, among events that it should."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from tests.support.bombs import TOO_MANY, as_event
from tests.support.harness import Path, facts, inline, running_path, send_packed
from tests.support.malformed import malformed_messages
from tests.support.path_events import created
from visualsearch.client.messages import OutgoingMessage
from visualsearch.contracts.events import encode_event

pytestmark = pytest.mark.asyncio(loop_scope="module")
BAD, GOOD = 1000, 50
SEED = 20261121


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker whose product topics keep the producer's timestamps."""
    folder = tmp_path_factory.mktemp("malformed")
    config = {"message.timestamp.type": "CreateTime"}
    async with running_path(kafka.bootstrap, folder, config) as path:
        yield path


async def test_a_thousand_malformed_messages_are_dead_lettered_and_all_good_events_applied(
    path: Path,
) -> None:
    """Each once, verbatim, with its reason; the worker lives, and its offsets are committed."""
    bad = malformed_messages(BAD, seed=SEED)
    topics = path.topics.product_topics()
    started_ms = int(time.time() * 1000) - 10_000_000
    messages = []
    for number, item in enumerate(bad):
        headers = (*item.headers, ("number", str(number).encode()))
        messages.append(
            OutgoingMessage(
                topics[number % len(topics)],
                item.key,
                item.value,
                headers=headers,
                timestamp_ms=started_ms + number,
            )
        )
        if number % (BAD // GOOD) == 0:
            value = encode_event(created(f"good-{number}", inline(number % 4096)))
            messages.append(
                OutgoingMessage(path.topics.product_events, f"good-{number}".encode(), value)
            )
    await path.producer.send(messages)
    await path.settled()  # both groups have committed all of it, and the index holds all of that

    letters = path.dead_letters()
    assert len(letters) == BAD
    by_number = {int(dict(letter.headers())["number"]): letter for letter in letters}
    assert by_number.keys() == set(range(BAD))
    for number, item in enumerate(bad):
        letter = by_number[number]
        why = (number, item.kind, facts(letter))
        assert facts(letter)["code"] == item.code, why
        assert facts(letter)["stage"] == "decode", why
        assert facts(letter)["topic"] == topics[number % len(topics)], why
        assert facts(letter)["message"], why
        assert letter.key() == item.key, why
        assert letter.value() == item.value, why
        assert letter.timestamp()[1] == started_ms + number, why
        assert letter.headers()[: len(item.headers)] == list(item.headers), why

    good = [f"good-{number}" for number in range(0, BAD, BAD // GOOD)]
    assert all(path.engine.product(name).searchable for name in good)
    assert path.engine.stats().known_products == GOOD  # nothing else got in
    assert await path.names_showing(980) == ["good-980"]


async def test_what_was_refused_is_counted_by_code(path: Path) -> None:
    """The metric agrees with what was sent, code by code, and no lane counts twice."""
    for code, count in Counter(x.code for x in malformed_messages(BAD, seed=SEED)).items():
        assert path.metric("dead_letters_total", code=code) == count, code
    refused = {"type": "unknown", "outcome": "dead_lettered"}
    assert path.metric("events_total", lane="attributes", **refused) == BAD
    assert path.metric("events_total", lane="embedding", **refused) == 0


async def test_a_dead_letter_points_to_where_its_message_stands(path: Path) -> None:
    """Topic, partition and offset lead back to the very message."""
    messages = {
        (x.topic(), x.partition(), x.offset()): x.value()
        for topic in path.topics.product_topics()
        for x in path.read(topic)
    }
    for letter in path.dead_letters():
        at = facts(letter)
        place = (at["topic"], int(at["partition"]), int(at["offset"]))
        assert messages[place] == letter.value()


async def test_events_that_unpack_beyond_the_contract_are_dead_lettered(path: Path) -> None:
    """A few kilobytes on the wire; the dead letter keeps the key and the length of the value."""
    before = len(path.dead_letters())
    values = {b"spaces": b" " * (12 << 20), b"texts": as_event(TOO_MANY["a list of texts"](), "a")}
    await asyncio.to_thread(send_packed, path, path.topics.product_events, values)
    await path.settled()
    letters = {letter.key(): letter for letter in path.dead_letters()[before:]}
    assert letters.keys() == values.keys()
    for key, letter in letters.items():
        at = facts(letter)
        assert (at["code"], at["stage"]) == ("event_too_large", "decode")
        assert at.get("value_omitted") == ("12582912" if key == b"spaces" else None)
        assert letter.value() == (b"" if key == b"spaces" else values[key])
