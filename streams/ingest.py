"""The way in, assembled: a lane's outcomes are written, counted and then acknowledged."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from streams.dead_letters import ROOM, Fault, dead_letter
from streams.lanes.embedding import EmbeddingLane
from streams.lanes.lane import (
    Entry,
    Outcome,
    index_message,
    internal_failure,
    newest_records,
    until_written,
)
from streams.lanes.newest import Newest
from streams.messages import OutgoingMessage, SourceMessage
from streams.metrics import Metrics
from streams.producer import Producer, SendError
from streams.retry import FIRST, Attempt, RetryError, parse_retry, retry_message
from streams.settings import MIB, Settings

# What the index log takes, less headers and batch. An event may be larger: it may be compressed.
RECORD_LIMIT = 10 * MIB - 64 * 1024


class Publisher:
    """Writes records, retries and dead letters; returns once Kafka has acknowledged all."""

    def __init__(
        self,
        lane: str,
        settings: Settings,
        producer: Producer,
        metrics: Metrics,
        *,
        index_partitions: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._lane = lane
        self._topics = settings.topics
        self._producer = producer
        self._metrics = metrics
        self._partitions = index_partitions

    async def __call__(
        self, messages: Sequence[SourceMessage], outcomes: Sequence[Outcome]
    ) -> None:
        """Write what the lane decided. Returns only when nothing can be lost any more."""
        outcomes = list(map(_keepable, messages, outcomes))
        outgoing = [self._record(key, entry) for key, entry in newest_records(outcomes)]
        for message, outcome in zip(messages, outcomes, strict=True):
            outgoing += [
                dead_letter(self._topics.dead_letters, message, fault) for fault in outcome.faults
            ]
            if outcome.retry is not None:
                now_ms = round(self._now() * 1000)
                topic = self._topics.product_retry
                outgoing.append(retry_message(topic, message, outcome.retry, now_ms=now_ms))
        write = partial(self._send, outgoing)
        await until_written(write, what=f"{self._lane}: a batch of {len(messages)} events")
        self._count(outcomes)

    async def _send(self, outgoing: Sequence[OutgoingMessage]) -> None:
        try:
            await self._producer.send(outgoing)
        except SendError:
            self._metrics.write_failures.labels(self._lane).inc()
            raise

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


def _keepable(message: SourceMessage, outcome: Outcome) -> Outcome:
    """Return the outcome; what is too large to be kept for another try is dead-lettered."""
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    if outcome.retry is None or message.size + headers <= ROOM:
        return outcome
    fault = Fault("fetch", outcome.retry.code, outcome.retry.message, outcome.retry.attempt.tries)
    return replace(outcome, word="dead_lettered", faults=[*outcome.faults, fault], retry=None)


class EmbeddingSteps:
    """An event of the embedding lane from its message to Kafka's acknowledgement."""

    def __init__(self, lane: EmbeddingLane, newest: Newest, publish: Publisher) -> None:
        self._lane = lane
        self._newest = newest
        self._publish = publish

    async def first(self, message: SourceMessage, attempt: Attempt = FIRST) -> None:
        """Process and publish; an error of ours must not stop the others."""
        try:
            outcome = await self._lane.process(message, attempt)
        except Exception as error:
            outcome = internal_failure(self._lane.name, message, error)
        await self._newest.publish(message, outcome, self._publish)

    async def again(self, message: SourceMessage) -> None:
        """Do the same with a message of `product-retry`."""
        try:
            original, attempt = parse_retry(message)
        except RetryError as error:
            fault = Fault("decode", "retry_invalid", str(error))
            await self._publish([message], [Outcome("dead_lettered", faults=[fault])])
        else:
            await self.first(original, attempt)
