"""Dead letters listed, shown and replayed by the command line, on a running path."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import Producer as ConfluentProducer

from streams.ingest.order import ORDER_HEADER
from streams.tools.broker import BrokerInfo
from tests.support.commands import Commands
from tests.support.harness import Path, facts, inline, picture, running_path
from tests.support.path_events import created, deleted, updated
from tests.support.pictures import PictureHost
from visualsearch.contracts.events import ImageSource, encode_event
from visualsearch.contracts.records import decode_record

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[PictureHost]:
    """Give an image host that knows no image yet."""
    async with PictureHost() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give one worker to all tests of this file."""
    async with running_path(kafka.bootstrap, tmp_path_factory.mktemp("dlq")) as path:
        yield path


async def dlq(path: Path, *arguments: str, status: int = 0) -> Any:
    """Run `visualsearch dlq … --json` in a process of its own."""
    shell = Commands(path.settings, path.url)
    return await asyncio.to_thread(lambda: shell.json("dlq", *arguments, status=status))


def lost(host: PictureHost, name: str) -> ImageSource:
    """Return an image that its host does not have (404) until it is put there."""
    return ImageSource(url=host.url(f"/ok/{name}"))


def orders_of(path: Path, key: bytes) -> list[tuple[int, int, int]]:
    """Return the orders of all records of a key, as the log has them."""
    records = [x for x in path.read(path.topics.index_log) if x.key() == key]
    return [decode_record(x.key(), x.value())[1].order for x in records]


async def test_a_dead_letter_is_listed_shown_and_replayed_once_its_cause_is_gone(
    path: Path, host: PictureHost
) -> None:
    """The host had no image; then it has, and the product is found in its original order."""
    await path.publish(created("p404", lost(host, "a.jpg"), title="Lost", description="long " * 99))
    await path.settled()
    listed = await dlq(path, "list", "--product", "p404")
    assert (listed["matched"], listed["by_code"]) == (1, {"image_http_404": 1})
    (row,) = listed["dead_letters"]
    assert row["original"].startswith(f"{path.topics.product_events}[")
    shown = await dlq(path, "show", row["position"])
    assert shown == await dlq(path, "show", "p404")
    assert json.loads(shown["value"])["product"]["title"] == "Lost"
    assert shown["headers"] == []

    host.put("a.jpg", picture(300))
    dry = await dlq(path, "replay", row["position"], "--dry-run")
    assert (dry["would_replay"], dry["dry_run"]) == (1, True)
    await path.settled()
    assert await path.names_showing(300) == []
    done = await dlq(path, "replay", row["position"])
    assert (done["replayed"], done["not_found"]) == (1, [])
    await path.settled()
    assert await path.names_showing(300) == ["p404"]
    (base, again), (vectors,) = orders_of(path, b"base:p404"), orders_of(path, b"vectors:p404")
    assert base == again == vectors
    assert len([x for x in path.dead_letters() if x.key() == b"p404"]) == 1


async def test_a_replay_that_a_newer_event_has_overtaken_changes_nothing(
    path: Path, host: PictureHost
) -> None:
    """Neither an update nor a delete is undone by what was published before it."""
    await path.publish(created("over", lost(host, "b.jpg"), title="Old"))
    await path.publish(created("gone", lost(host, "b.jpg"), title="Old"))
    await path.settled()
    await path.publish(updated("over", inline(302), title="New"), deleted("gone"))
    await path.settled()
    host.put("b.jpg", picture(301))
    for product in ("over", "gone"):
        assert (await dlq(path, "replay", "--product", product))["replayed"] == 1
    await path.settled()
    assert await path.names_showing(301) == []
    assert [hit.title for hit in await path.showing(302)] == ["New"]
    assert not path.engine.product("gone").searchable
    for key in (b"base:over", b"base:gone"):  # one kept its order, the other was published anew
        *_, newer, older = orders_of(path, key)
        assert older < newer
    for key in (b"vectors:over", b"vectors:gone"):  # the lane knew of the newer one
        assert len(orders_of(path, key)) == 1


async def test_a_replay_that_fails_again_keeps_its_first_order(
    path: Path, host: PictureHost
) -> None:
    """Three letters of one event; the next replay publishes it once, as first ordered."""
    await path.publish(created("again", lost(host, "c.jpg"), lost(host, "d.jpg")))
    await path.settled()
    assert (await dlq(path, "replay", "--product", "again"))["same_event"] == 1
    await path.settled()
    assert (await dlq(path, "list", "--product", "again"))["matched"] == 4
    host.put("c.jpg", picture(303))
    done = await dlq(path, "replay", "--product", "again", "--code", "image_http_404")
    assert (done["replayed"], done["same_event"]) == (1, 3)
    await path.settled()
    assert await path.names_showing(303) == ["again"]
    orders = orders_of(path, b"base:again") + orders_of(path, b"vectors:again")
    assert (len(orders), len(set(orders))) == (4, 1)


async def test_a_bad_order_header_is_dead_lettered_and_a_replay_puts_it_right(path: Path) -> None:
    """Somebody else's header never crashes a pipeline, and never makes an order up."""
    value = encode_event(created("header", inline(304)))
    await path.publish_raw(b"header", value, headers=((ORDER_HEADER, b"now"), ("own", b"1")))
    await path.settled()
    (letter,) = [x for x in path.dead_letters() if x.key() == b"header"]
    assert (facts(letter)["stage"], facts(letter)["code"]) == ("order", "order_header_invalid")
    assert (await dlq(path, "replay", "--code", "order_header_invalid"))["replayed"] == 1
    await path.settled()
    assert await path.names_showing(304) == ["header"]


async def test_what_was_too_large_is_read_again_and_refused_with_its_place(path: Path) -> None:
    """30 MB passed the broker as gzip; the letter has no value, the topic still has it."""
    fat = {f"name-{n}": "x" * 1000 for n in range(30_000)}
    producer = ConfluentProducer(
        path.settings.kafka()
        | {"compression.type": "gzip", "message.max.bytes": 40_000_000,
           "partitioner": "murmur2_random"}
    )  # fmt: skip
    producer.produce(
        path.topics.product_events, key=b"fat", value=encode_event(created("fat", attributes=fat))
    )
    assert producer.flush(20) == 0
    await path.settled()
    row = (await dlq(path, "list", "--product", "fat"))["dead_letters"][0]
    assert row["omitted"]["value"] > 30_000_000
    done = await dlq(path, "replay", "--product", "fat", status=1)
    (row,) = done["dead_letters"]
    assert (row["outcome"], row["reason_code"]) == ("refused", "event_too_large")
    assert f"{path.topics.product_events}[" in row["reason"]


async def test_what_is_not_there_is_said_with_status_1(path: Path) -> None:
    """A place past the end, a product without letters, and nothing chosen at all."""
    done = await dlq(path, "replay", "0@999999", status=1)
    assert (done["not_found"], done["dead_letters"]) == (["0@999999"], [])
    shell = Commands(path.settings, path.url)
    shown = await asyncio.to_thread(lambda: shell.run("dlq", "show", "nobody", status=1))
    assert "[dead_letter_not_found]" in shown.stderr
    assert shown.stdout == ""
    usage = await asyncio.to_thread(lambda: shell.run("dlq", "replay", status=2))
    assert "--all" in usage.stderr


async def test_people_get_tables(path: Path) -> None:
    """A line per letter, how many of each code, and no control characters of a stranger."""
    await path.publish_raw(b"\x1b[2Jevil", b"{[bold]")
    await path.settled()
    shell = Commands(path.settings, path.url)
    listed = (await asyncio.to_thread(lambda: shell.run("dlq", "list"))).stdout
    assert "\x1b" not in listed
    assert "\\x1b[2Jevil" in listed
    assert "image_http_404" in listed.splitlines()[-1]
    shown = (await asyncio.to_thread(lambda: shell.run("dlq", "show", "p404"))).stdout
    assert '"title": "Lost"' in shown
    assert "characters)" in shown
    dry = (await asyncio.to_thread(lambda: shell.run("dlq", "replay", "--all", "--dry-run",
                                                     status=1))).stdout  # fmt: skip
    assert "would replay" in dry
    assert "[event_too_large]" in dry


async def test_without_a_broker_or_topics_one_line_says_so(path: Path) -> None:
    """Which address did not answer, and which command makes what is missing."""
    elsewhere = {"bootstrap": "127.0.0.1:1"}, {"topic_prefix": "nobody-made-these-"}

    async def check(changed: dict[str, str], said: str, command: tuple[str, str]) -> None:
        shell = Commands(path.settings.model_copy(update=changed), path.url)
        done = await asyncio.to_thread(shell.run, *command, status=1)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert said in done.stderr

    # Side by side: who asks an address that does not answer waits ten seconds.
    await asyncio.gather(*(
        check(changed, said, command)
        for changed, said in zip(elsewhere, ("127.0.0.1:1", "topics create"), strict=True)
        for command in (("dlq", "list"), ("explain", "p"))
    ))  # fmt: skip
