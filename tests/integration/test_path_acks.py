"""The lanes' acknowledgements on Faust and a real broker: what a group has committed."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.broker import BrokerInfo
from streams.faust_app import Handler, make_app, start_app, stop_app
from streams.lanes.lane import run_lane
from streams.lanes.window import Window, run_side_by_side
from streams.messages import OutgoingMessage
from streams.producer import Producer
from streams.settings import Settings
from streams.topics import TopicSpec, create_topics
from tests.contract.lane_acks import EchoLane, LaneAcksContract, Publish
from tests.contract.side_by_side import SideBySideContract
from tests.integration.harness import make_settings


class TestLaneAcksOnKafka(LaneAcksContract):
    """The contract on the real thing."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: BrokerInfo, tmp_path: Path) -> None:
        self.settings = make_settings(kafka.bootstrap, tmp_path)

    async def acked(self, values: Sequence[bytes], publish: Publish, done: asyncio.Event) -> int:
        """Run a Faust app of one batch after the other."""

        async def handler(stream: Any) -> None:
            await run_lane(stream, EchoLane(), publish)

        return await committed(self.settings, values, handler, done)


class TestSideBySideOnKafka(SideBySideContract):
    """Events in work together, on the real thing."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: BrokerInfo, tmp_path: Path) -> None:
        self.settings = make_settings(kafka.bootstrap, tmp_path)

    async def acked(
        self, values: Sequence[bytes], window: Window, done: asyncio.Event
    ) -> list[int]:
        """Run a Faust app and stop it as a worker does."""

        async def handler(stream: Any) -> None:
            await run_side_by_side(stream, window)

        async def close() -> None:
            await window.close(0.3)

        return list(range(await committed(self.settings, values, handler, done, close)))


async def committed(
    settings: Settings,
    values: Sequence[bytes],
    handler: Handler,
    done: asyncio.Event,
    close: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Publish to a topic of one partition, run a Faust app until done, read the commits."""
    topic = group = f"acks-{uuid.uuid4().hex[:10]}"
    await asyncio.to_thread(create_topics, settings.bootstrap, [TopicSpec(topic, 1, {})])
    with Producer(settings.kafka()) as producer:
        await producer.send(OutgoingMessage(topic, b"k", value) for value in values)
    app = make_app(settings, group, [topic], handler, buffer=32, commit_s=0.1)
    await start_app(app)
    try:
        await asyncio.wait_for(done.wait(), 20)
        if close is not None:
            await close()
    finally:
        await stop_app(app, 8.0)
    consumer = Consumer(settings.kafka() | {"group.id": group})
    (offset,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
    consumer.close()
    return max(offset.offset, 0)


async def test_nothing_is_decoded_inside_faust(kafka: BrokerInfo, tmp_path: Path) -> None:
    """A decoder that fails there acknowledges past the message: bytes in, bytes out."""
    settings = make_settings(kafka.bootstrap, tmp_path)

    async def handler(_: Any) -> None:
        raise AssertionError("never started")

    app = make_app(settings, "g", ["a", "b"], handler, buffer=5)
    (agent,) = app.agents.values()
    assert app.conf.key_serializer == app.conf.value_serializer == "raw"
    channel = agent.channel
    assert (channel.key_type, channel.value_type) == (bytes, bytes)
    assert {channel.key_serializer, channel.value_serializer} <= {None, "raw"}
    assert (app.conf.stream_buffer_maxsize, app.conf.broker_max_poll_records) == (5, 5)
    assert not app.conf.topic_allow_declare
    assert not app.conf.web_enabled
    assert agent.concurrency == 1
