"""What a pipeline's group has committed, on a real broker."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from streams.config.topics import TopicSpec
from streams.kafka.consumer_group import GroupConsumer, Sink
from streams.kafka.topics import create_topics
from streams.metrics import Metrics
from streams.tools.broker import BrokerInfo
from tests.support.harness import make_settings
from tests.support.lane_acks import LaneAcksContract
from tests.support.side_by_side import SideBySideContract
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer


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
        metrics = Metrics(CollectorRegistry())
        reader = GroupConsumer(
            settings.kafka(), group, [topic], sink, metrics, session_timeout_s=6.0
        )
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
    """The attribute pipeline's way."""


class TestSideBySideOnKafka(OnKafka, SideBySideContract):
    """The embedding pipeline's way."""
