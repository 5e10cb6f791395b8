"""The way in, assembled: a lane's outcomes are written, counted and then acknowledged."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from streams.dead_letters import Fault, dead_letter
from streams.faust_app import make_app
from streams.lanes.lane import (
    Entry,
    Lane,
    Outcome,
    index_message,
    newest_records,
    run_lane,
    until_written,
)
from streams.messages import OutgoingMessage, SourceMessage
from streams.metrics import Metrics
from streams.producer import Producer
from streams.settings import MIB, Settings

# What the index log takes, less headers and batch. An event may be larger: it may be compressed.
RECORD_LIMIT = 10 * MIB - 64 * 1024


class Publisher:
    """Writes a batch's records and dead letters; returns once Kafka has acknowledged all."""

    def __init__(
        self,
        lane: str,
        settings: Settings,
        producer: Producer,
        metrics: Metrics,
        *,
        index_partitions: int,
    ) -> None:
        self._lane = lane
        self._topics = settings.topics
        self._producer = producer
        self._metrics = metrics
        self._partitions = index_partitions

    async def __call__(
        self, messages: Sequence[SourceMessage], outcomes: Sequence[Outcome]
    ) -> None:
        """Write what the lane decided. Returns only when nothing can be lost any more."""
        outgoing = [self._record(key, entry) for key, entry in newest_records(outcomes)]
        for message, outcome in zip(messages, outcomes, strict=True):
            outgoing += [
                dead_letter(self._topics.dead_letters, message, fault) for fault in outcome.faults
            ]
        write = partial(self._producer.send, outgoing)
        await until_written(write, what=f"{self._lane}: a batch of {len(messages)} events")
        self._count(outcomes)

    def _record(self, key: bytes, entry: Entry) -> OutgoingMessage:
        """Return the record, or the dead letter of an event whose record the log cannot take."""
        message = index_message(key, entry, self._topics.index_log, self._partitions)
        size = len(message.value or b"")
        if size <= RECORD_LIMIT:
            return message
        text = f"its record has {size} bytes, the index log takes {RECORD_LIMIT}"
        fault = Fault("log", "record_too_large", text)
        self._metrics.dead_letters.labels(fault.code).inc()
        return dead_letter(self._topics.dead_letters, entry[2].message, fault)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._metrics.events.labels(self._lane, outcome.type, outcome.word).inc()
            for fault in outcome.faults:
                self._metrics.dead_letters.labels(fault.code).inc()


def make_lane_app(
    settings: Settings, lane: Lane, producer: Producer, metrics: Metrics, index_partitions: int
) -> Any:
    """Return the Faust app of a lane: its own consumer group over all product topics."""
    publish = Publisher(lane.name, settings, producer, metrics, index_partitions=index_partitions)

    async def handler(stream: Any) -> None:
        await run_lane(stream, lane, publish)

    group = f"{settings.topic_prefix}visualsearch-{lane.name}"
    buffer = max(lane.batch, 32)
    return make_app(settings, group, settings.topics.product_topics(), handler, buffer=buffer)
