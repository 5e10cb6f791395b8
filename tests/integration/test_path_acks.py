"""What a lane's group has committed, on a real broker; and Faust as the queries need it."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.broker import BrokerInfo
from streams.faust_app import make_app
from streams.group_reader import GroupReader, Sink
from streams.messages import OutgoingMessage
from streams.producer import Producer
from streams.topics import TopicSpec, create_topics
from tests.contract.lane_acks import LaneAcksContract
from tests.contract.side_by_side import SideBySideContract
from tests.integration.harness import make_settings


class OnKafka:
    """`finished` of the contracts, on the real thing."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: BrokerInfo, tmp_path: Path) -> None:
        self.settings = make_settings(kafka.bootstrap, tmp_path)

    async def finished(self, values: Sequence[bytes], sink: Sink, done: asyncio.Event) -> int:
        """Publish to a topic of one partition, run a reader until done, read its commits."""
        settings = self.settings
        topic = group = f"acks-{uuid.uuid4().hex[:10]}"
        await asyncio.to_thread(create_topics, settings.bootstrap, [TopicSpec(topic, 1, {})])
        with Producer(settings.kafka()) as producer:
            await producer.send(OutgoingMessage(topic, b"k", value) for value in values)
        reader = GroupReader(settings.kafka(), group, [topic], sink, session_timeout_s=6.0)
        reader.start()
        try:
            await asyncio.wait_for(done.wait(), 60)
        finally:
            await reader.close(0.5)
        assert reader.failure is None
        consumer = Consumer(settings.kafka() | {"group.id": group})
        (offset,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        consumer.close()
        return max(offset.offset, 0)


class TestBatchesOnKafka(OnKafka, LaneAcksContract):
    """The attribute lane's way."""


class TestSideBySideOnKafka(OnKafka, SideBySideContract):
    """The embedding lane's way."""


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
