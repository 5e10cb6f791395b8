"""The way in, assembled: a lane's outcomes are written, counted and then acknowledged."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from streams.config.settings import Settings
from streams.ingest.dead_letters import ROOM, Fault, dead_letter
from streams.ingest.embedding import EmbeddingLane
from streams.ingest.latest import Newest
from streams.ingest.outcome import (
    Entry,
    Outcome,
    index_message,
    internal_failure,
    newest_records,
)
from streams.ingest.retry import FIRST, Attempt, Retry, RetryError, parse_retry, retry_message
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_forever
from streams.metrics import Metrics
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.options import MIB
from visualsearch.client.producer import Producer, SendError

# What the index log takes, less headers and batch. An event may be larger: it may be compressed.
RECORD_LIMIT = 10 * MIB - 64 * 1024
TRIES_ALONE = 3
APART_S = 0.1


@dataclass(frozen=True, slots=True)
class _Write:
    """A message to be written, and what to write instead if its topic refuses it for good.

    A dead letter that stands instead of a record or a retry has its code, to be counted.
    """

    message: OutgoingMessage
    instead: "Callable[[SendError], _Write] | None" = None
    code: str | None = None


class Publisher:
    """Writes records, retries and dead letters; returns once Kafka has acknowledged all.

    This is where the pipelines wait for Kafka, and the only place: it tries again for ever.
    """

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
        writes = [self._record(key, entry) for key, entry in newest_records(outcomes)]
        for message, outcome in zip(messages, outcomes, strict=True):
            writes += [self._letter(message, fault) for fault in outcome.faults]
            if outcome.retry is not None:
                writes.append(self._retry(message, outcome.retry))
        what = f"{self._lane}: a batch of {len(messages)} events"
        while writes:
            for write in writes:
                if write.code is not None:
                    self._metrics.dead_letters.labels(write.code).inc()
            writes = await retry_forever(partial(self._send, writes), what=what)
        self._count(outcomes)

    async def _send(self, writes: Sequence[_Write]) -> list[_Write]:
        """Send, and return what to write instead of what is refused for good.

        Raises SendError for what may pass.
        """
        errors = await self._producer.send_each([write.message for write in writes])
        failed = [(w, error) for w, error in zip(writes, errors, strict=True) if error is not None]
        for write, error in failed:
            if write.instead is None or not error.refused:
                self._metrics.write_failures.labels(self._lane).inc()
                # Where nothing is left to leave out, the topic has to be mended: it may pass.
                raise SendError(str(error), too_large=False) from error
        return [instead for write, _ in failed for instead in await self._alone(write)]

    async def _alone(self, write: _Write) -> list[_Write]:
        """Send by itself what was refused; return what to write instead if it is refused again.

        A broker refuses a batch as a whole, and the client makes batches of what several senders
        give it at the same time: hence the pauses, and three tries. Raises SendError.
        """
        error: SendError | None = None
        for _ in range(TRIES_ALONE):
            await asyncio.sleep(random.uniform(0.0, APART_S))
            (error,) = await self._producer.send_each([write.message])
            if error is None:
                return []
            if not error.refused:
                raise error
        return [] if error is None or write.instead is None else [write.instead(error)]

    def _record(self, key: bytes, entry: Entry) -> _Write:
        """Return the record, or the dead letter of an event whose record the log cannot take."""
        message = index_message(key, entry, self._topics.index_log, self._partitions)
        size = len(message.value or b"")
        text = f"its record has {size} bytes, the index log takes {RECORD_LIMIT}"

        def instead(error: SendError | None = None) -> _Write:
            if error is None:
                fault = Fault("log", "record_too_large", text)
            else:
                code = "record_too_large" if error.too_large else "internal"
                fault = Fault("log", code, f"its record of {size} bytes is refused: {error}")
            return self._letter(entry[2].message, fault, code=fault.code)

        return _Write(message, instead) if size <= RECORD_LIMIT else instead()

    def _retry(self, message: SourceMessage, retry: Retry) -> _Write:
        """Return the event for its next attempt, or the dead letter of what cannot be kept."""
        now_ms = round(self._now() * 1000)
        kept = retry_message(self._topics.product_retry, message, retry, now_ms=now_ms)
        return _Write(kept, lambda _: self._letter(message, _given_up(retry), code=retry.code))

    def _letter(self, message: SourceMessage, fault: Fault, *, code: str | None = None) -> _Write:
        """Return the dead letter, or where the event stands, if the topic refuses the event."""
        topic = self._topics.dead_letters
        return _Write(
            dead_letter(topic, message, fault),
            lambda _: _Write(dead_letter(topic, message, fault, bare=True)),
            code,
        )

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._metrics.events.labels(self._lane, outcome.type, outcome.word).inc()
            for fault in outcome.faults:
                self._metrics.dead_letters.labels(fault.code).inc()


def _keepable(message: SourceMessage, outcome: Outcome) -> Outcome:
    """Return the outcome; what is too large to be kept for another try is dead-lettered."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in message.headers)
    size = message.size + len(message.key or b"") + headers
    if outcome.retry is None or size <= ROOM:
        return outcome
    faults = [*outcome.faults, _given_up(outcome.retry)]
    return replace(outcome, word="dead_lettered", faults=faults, retry=None)


def _given_up(retry: Retry) -> Fault:
    return Fault("fetch", retry.code, retry.message, retry.attempt.tries)


class EmbeddingSteps:
    """An event of the embedding lane from its message to Kafka's acknowledgement."""

    def __init__(self, lane: EmbeddingLane, newest: Newest, publish: Publisher) -> None:
        self._lane = lane
        self._newest = newest
        self._publish = publish

    async def first(self, message: SourceMessage, attempt: Attempt = FIRST) -> None:
        """Process and publish. Raises nothing but errors of ours: see `give_up`."""
        outcome = await self._lane.process(message, attempt)
        await self._newest.publish(message, outcome, self._publish)

    async def again(self, message: SourceMessage) -> None:
        """Do the same with a message of `product-retry`."""
        try:
            original, attempt = parse_retry(message)
        except RetryError as error:
            fault = Fault("decode", error.code, str(error))
            await self._publish([message], [Outcome("dead_lettered", faults=[fault])])
        else:
            await self.first(original, attempt)

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Dead-letter an event that an error of ours keeps from its end, as it was first read."""
        with suppress(RetryError):
            message, _ = parse_retry(message)
        await self._publish([message], [internal_failure(self._lane.name, message, error)])
