"""The lanes' acknowledgements on Faust and a real broker: what a group has committed."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.broker import BrokerInfo
from streams.faust_app import make_app, start_app, stop_app
from streams.lanes.lane import run_lane
from streams.messages import OutgoingMessage
from streams.producer import Producer
from streams.topics import TopicSpec, create_topics
from tests.contract.lane_acks import EchoLane, LaneAcksContract, Publish
from tests.integration.harness import make_settings


class TestLaneAcksOnKafka(LaneAcksContract):
    """The contract on the real thing."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: BrokerInfo, tmp_path: Path) -> None:
        self.settings = make_settings(kafka.bootstrap, tmp_path)

    async def acked(self, values: Sequence[bytes], publish: Publish, done: asyncio.Event) -> int:
        """Publish to a topic of one partition, run a Faust app until done, read the commits."""
        topic = group = f"acks-{uuid.uuid4().hex[:10]}"
        bootstrap = self.settings.bootstrap
        await asyncio.to_thread(create_topics, bootstrap, [TopicSpec(topic, 1, {})])
        with Producer(self.settings.kafka()) as producer:
            await producer.send(OutgoingMessage(topic, b"k", value) for value in values)

        async def handler(stream: Any) -> None:
            await run_lane(stream, EchoLane(), publish)

        app = make_app(self.settings, group, [topic], handler, buffer=32, commit_s=0.1)
        await start_app(app)
        try:
            await asyncio.wait_for(done.wait(), 60)
        finally:
            await stop_app(app, 8.0)
        consumer = Consumer(self.settings.kafka() | {"group.id": group})
        (committed,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        consumer.close()
        return max(committed.offset, 0)


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
