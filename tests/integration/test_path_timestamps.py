"""The default order, Kafka's timestamps, on topics whose catalog sets them; and envelopes."""

import gzip
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from confluent_kafka import Producer as ConfluentProducer

from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, facts, inline, running_path
from tests.support.path_events import created, deleted, offer, updated
from visualsearch.contracts.events import encode_event

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOON = int(time.time() * 1000) - 3_600_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give one worker to all tests of this file, over topics with the producer's timestamps."""
    folder = tmp_path_factory.mktemp("timestamps")
    config = {"message.timestamp.type": "CreateTime"}
    async with running_path(kafka.bootstrap, folder, config) as path:
        yield path


async def test_a_null_value_deletes_and_a_late_update_does_not_undo_it(path: Path) -> None:
    """Late is what has an older timestamp, wherever it stands in the topic."""
    await path.publish(created("null", inline(200)), timestamp_ms=NOON)
    await path.settled()
    assert await path.names_showing(200) == ["null"]
    await path.publish_raw(b"null", None, timestamp_ms=NOON + 60_000)
    await path.settled()
    assert await path.names_showing(200) == []
    await path.publish(updated("null", inline(200)), timestamp_ms=NOON + 59_999)
    await path.settled()
    assert await path.names_showing(200) == []
    await path.publish(created("null", inline(200)), timestamp_ms=NOON + 60_001)
    await path.settled()
    assert await path.names_showing(200) == ["null"]


async def test_a_null_delete_may_come_on_the_topic_of_deletes(path: Path) -> None:
    """A tombstone needs no type: on any product topic it is a delete."""
    topics = path.topics
    await path.publish(created("tomb", inline(201)), topic=topics.product_created)
    await path.settled()
    await path.publish_raw(b"tomb", None, topics.product_deleted)
    await path.settled()
    assert await path.names_showing(201) == []


async def test_versions_are_ignored_in_timestamp_order(path: Path) -> None:
    """A lower version with a newer timestamp wins: the two are never compared."""
    await path.publish(created("ver", inline(202), version=9, title="old"), timestamp_ms=NOON)
    await path.publish(updated("ver", inline(202), version=1, title="new"), timestamp_ms=NOON + 1)
    await path.settled()
    assert [hit.title for hit in await path.showing(202)] == ["new"]


async def test_at_the_same_millisecond_the_later_message_wins(path: Path) -> None:
    """The offset breaks the tie on one topic."""
    await path.publish(
        created("tie", inline(203), title="first"),
        updated("tie", inline(203), title="second"),
        offer("tie", price=1.0),
        offer("tie", price=2.0),
        timestamp_ms=NOON,
    )
    await path.settled()
    (hit,) = await path.showing(203)
    assert (hit.title, hit.price) == ("second", 2.0)


async def test_a_late_delete_does_not_remove_what_was_created_after_it(path: Path) -> None:
    """The order decides for deletes as for everything else."""
    await path.publish(created("back", inline(204)), timestamp_ms=NOON + 5)
    await path.publish(deleted("back"), timestamp_ms=NOON + 4)
    await path.settled()
    assert await path.names_showing(204) == ["back"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", "none"])
async def test_a_catalogue_may_compress_as_it_likes(path: Path, codec: str) -> None:
    """Both lanes read every codec that Kafka has."""
    number = 210 + ["gzip", "snappy", "lz4", "zstd", "none"].index(codec)
    producer = ConfluentProducer(
        path.settings.kafka() | {"compression.type": codec, "linger.ms": 50}
    )
    for name in (codec, f"{codec}-2"):
        value = encode_event(created(name, inline(number), description="long " * 500))
        producer.produce(path.topics.product_events, key=name.encode(), value=value)
    assert producer.flush(10) == 0
    await path.settled()
    assert sorted(await path.names_showing(number)) == [codec, f"{codec}-2"]


async def test_an_event_that_was_small_only_when_compressed_is_dead_lettered(path: Path) -> None:
    """30 MB of attributes pass the broker as gzip; neither log nor dead letter can hold them."""
    fat = {f"name-{n}": "x" * 1000 for n in range(30_000)}
    producer = ConfluentProducer(
        path.settings.kafka() | {"compression.type": "gzip", "message.max.bytes": 40_000_000}
    )
    value = encode_event(created("bomb", inline(220), attributes=fat))
    assert len(gzip.compress(value, 1)) < 1_000_000
    producer.produce(path.topics.product_events, key=b"bomb", value=value)
    assert producer.flush(20) == 0
    await path.settled()
    (letter,) = [x for x in path.dead_letters() if x.key() == b"bomb"]
    assert facts(letter)["code"] == "event_too_large"
    assert facts(letter)["value_omitted"] == str(len(value))
    assert not letter.value()
    await path.publish(updated("bomb", inline(221)))
    await path.settled()
    assert await path.names_showing(221) == ["bomb"]


def _product(product_id: str, number: int) -> dict[str, object]:
    return json.loads(encode_event(created(product_id, inline(number))))["product"]


async def test_a_structured_cloudevent_is_understood(path: Path) -> None:
    """The whole CloudEvent is the value; `type` carries the reverse-DNS prefix of the shop."""
    event = {
        "specversion": "1.0", "id": "ce-1", "source": "/shop", "time": "2026-05-01T12:00:00Z",
        "type": "com.shop.product-created", "data": _product("structured", 230),
    }  # fmt: skip
    await path.publish_raw(b"structured", json.dumps(event).encode())
    await path.settled()
    assert await path.names_showing(230) == ["structured"]


async def test_a_binary_cloudevent_is_understood_and_its_trace_goes_with_the_record(
    path: Path,
) -> None:
    """Attributes come as `ce_` headers; records carry when, what, whence and the trace."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = (
        ("ce_specversion", b"1.0"), ("ce_id", b"ce-2"), ("ce_source", b"/shop"),
        ("ce_time", b"2026-05-01T12:00:00Z"), ("ce_type", b"com.shop.product-created"),
        ("traceparent", trace),
    )  # fmt: skip
    body = json.dumps(_product("binary", 231)).encode()
    await path.publish_raw(b"binary", body, headers=headers)
    await path.settled()
    assert await path.names_showing(231) == ["binary"]
    records = {x.key(): dict(x.headers()) for x in path.read(path.topics.index_log)}
    for key in (b"base:binary", b"vectors:binary"):
        found = records[key]
        assert (found["event_id"], found["event_type"]) == (b"ce-2", b"product-created")
        assert found["occurred_at"] == b"2026-05-01T12:00:00+00:00"
        assert found["traceparent"] == trace
        assert found["source"].startswith(path.topics.product_events.encode() + b"[")
