"""What no decoder of ours is asked about: headers that are no text, batches that do not unpack."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from streams.tools.fsck.check import Check, Options
from streams.tools.fsck.worker import Worker
from tests.integration.test_fsck import Silent, named
from tests.support.bomb import publish_bomb
from tests.support.commands import Commands
from tests.support.harness import Path, facts, inline, picture, running_path
from tests.support.path_events import created
from tests.support.raw_producer import RawMessage, publish
from tests.support.waiting import until
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.events import encode_event
from visualsearch.contracts.records import Base, encode_record, record_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOT_UTF8 = ((b"\xff\xfe\x80", b"v"), (b"correlation_id", b"c"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a running worker."""
    folder = tmp_path_factory.mktemp("poison")
    async with running_path(kafka.bootstrap, folder) as path:
        yield path


async def poison(path: Path, *messages: RawMessage) -> list[int]:
    """Publish raw messages."""
    return await asyncio.to_thread(publish, path.settings.bootstrap, messages)


async def bomb(path: Path, topic: str, partition: int, messages: int) -> None:
    """Publish a batch of so many messages that does not unpack."""
    await asyncio.to_thread(publish_bomb, path.settings, topic, partition, messages=messages)


def error_of(path: Path, code: str) -> list[Any]:
    """Return the dead letters with this code."""
    return [letter for letter in path.dead_letters() if facts(letter).get("code") == code]


async def is_alive(path: Path, number: int) -> None:
    """Publish a product, find it, and see that nothing of the worker ended."""
    await path.publish(created(f"after-{number}", inline(number)))
    await path.settled()
    assert await path.names_showing(number) == [f"after-{number}"]
    assert path.worker.live() is None


async def test_an_event_with_a_header_that_is_no_text_is_dead_lettered(path: Path) -> None:
    """With its key, its value and its place; the events around it are indexed."""
    value = encode_event(created("poisoned", inline(1)))
    topic = path.topics.product_events
    (offset,) = await poison(path, RawMessage(topic, 0, b"poisoned", value, NOT_UTF8))
    await is_alive(path, 2)
    (letter,) = error_of(path, "headers_invalid")
    assert (letter.key(), letter.value()) == (b"poisoned", value)
    told = facts(letter)
    assert (told["topic"], told["partition"], told["offset"]) == (topic, "0", str(offset))
    assert "headers are lost" in told["message"]
    assert path.engine.product("poisoned") is None


async def test_a_dead_letter_without_its_headers_can_be_replayed(path: Path) -> None:
    """What it says is whole; it is indexed under its old order."""
    runner = Commands(path.settings, path.url)
    done = await asyncio.to_thread(runner.json, "dlq", "replay", "--code", "headers_invalid")
    assert [row["outcome"] for row in done["dead_letters"]] == ["replayed"], done
    await path.settled()
    assert await path.names_showing(1) == ["poisoned"]


async def test_a_request_with_a_header_that_is_no_text_is_answered_with_its_hits(
    path: Path,
) -> None:
    """On `search-results`: the headers that would name another topic are lost."""
    body = {
        "request_id": "poisoned-request",
        "query": {"image": base64.b64encode(picture(2)).decode()},
        "deadline_ms": 30_000,
    }
    value = json.dumps(body).encode()
    await poison(path, RawMessage(path.topics.search_requests, 1, b"q", value, NOT_UTF8))
    await path.caught_up("search")
    (answer,) = [m for m in path.read(path.topics.search_results) if m.key() == b"poisoned-request"]
    result = json.loads(answer.value())
    assert (result["status"], result["hits"][0]["product_id"]) == ("ok", "after-2")
    await is_alive(path, 3)


async def test_headers_that_are_no_text_stop_no_reader_of_any_topic(path: Path) -> None:
    """The index log, the results, the retries and the dead letters: anyone may write there."""
    topics = path.topics
    record = encode_record(Base(order=(1, 0, 0), title="in the log"))
    key = record_key("base", "logged")
    partition = partition_of("logged", 2)
    await poison(
        path,
        RawMessage(topics.index_log, partition, key, record, NOT_UTF8),
        RawMessage(topics.search_results, 0, b"x", b"{}", NOT_UTF8),
        RawMessage(topics.product_retry, 0, b"x", b"{}", NOT_UTF8),
        RawMessage(topics.dead_letters, 0, b"x", b"{}", NOT_UTF8),
    )
    await is_alive(path, 4)
    await until(lambda: path.engine.product("logged") is not None)
    codes = [facts(letter)["code"] for letter in error_of(path, "headers_invalid")]
    assert len(codes) == 2  # the event of the first test, and what stood in `product-retry`


async def test_a_batch_that_does_not_unpack_is_stepped_over(path: Path) -> None:
    """In every topic that a worker reads; each of a catalog's and of apps' is one dead letter."""
    topics = path.topics
    for topic in (
        topics.product_events, topics.search_requests, topics.product_retry, topics.index_log,
        topics.search_results, topics.dead_letters,
    ):  # fmt: skip
        await bomb(path, topic, 0, 40)
    await is_alive(path, 5)
    await path.caught_up("search")
    letters = error_of(path, "message_unreadable")
    told = {facts(letter)["topic"]: facts(letter) for letter in letters}
    assert len(letters) == 3
    assert told.keys() == {topics.product_events, topics.search_requests, topics.product_retry}
    for each in told.values():
        assert int(each["last_offset"]) == int(each["offset"]) + 39
        assert "good messages may be among them" in each["message"]
    assert all(letter.key() is None for letter in letters)
    assert path.metric("log_records_total", kind="unknown", outcome="unreadable") == 1
    await is_alive(path, 6)


async def test_a_batch_of_one_message_that_does_not_unpack_is_stepped_over(path: Path) -> None:
    """Two of them in a row, at the end of the log: the next message is read."""
    topic = path.topics.product_events
    for _ in range(2):
        await bomb(path, topic, 1, 1)
    await is_alive(path, 7)
    letters = [
        each for each in error_of(path, "message_unreadable") if facts(each)["topic"] == topic
    ]
    assert sorted(int(facts(x)["last_offset"]) - int(facts(x)["offset"]) for x in letters) == [
        0,
        0,
        39,
    ]


async def test_the_tools_go_on(path: Path) -> None:
    """`fsck` finds what is wrong alone, `explain` and `dlq` read past what they cannot read."""
    runner = Commands(path.settings, path.url)
    check = Check(
        path.settings, Worker(path.url), lambda: path.encoder, Options(sample=None, wait_s=60.0),
        Silent(),
    )  # fmt: skip
    report = await asyncio.to_thread(check.run)
    assert named(report) == {"stale": ["logged"]}  # the record that no event stands behind
    explained = await asyncio.to_thread(runner.json, "explain", "after-5", "--http", path.url)
    assert explained["verdict"]["code"] == "searchable", explained
    listed = await asyncio.to_thread(runner.json, "dlq", "list")
    codes = [row["code"] for row in listed["dead_letters"]]
    assert codes.count("message_unreadable") == 6  # one is in `dead-letters` itself
