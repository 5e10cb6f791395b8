"""Writes the outcomes of both pipelines to Kafka, and counts them."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streams.config.settings import Settings
from streams.ingest.dead_letters import ROOM, Fault, dead_letter
from streams.ingest.outcome import EventOutcome, RecordEntry, index_message, latest_records
from streams.ingest.retry import Retry, retry_message
from streams.kafka.delivery import Write, deliver
from streams.kafka.messages import SourceMessage
from streams.metrics import Metrics
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.options import MIB
from visualsearch.client.producer import Producer, SendError

# The index log's limit less headers and batch. A compressed event may be larger.
RECORD_LIMIT = 10 * MIB - 64 * 1024


@dataclass(frozen=True, slots=True)
class _Planned:
    """A message to write, the event that it comes from, and its content."""

    message: OutgoingMessage
    source: SourceMessage
    carries: RecordEntry | Retry | Fault
    required: bool = False


class Publisher:
    """Writes records, retries and dead letters; returns once Kafka has acknowledged all.

    A refused message is dead-lettered; a refused dead letter is cut down to its position.
    """

    def __init__(
        self,
        pipeline: str,
        settings: Settings,
        producer: Producer,
        metrics: Metrics,
        *,
        index_partitions: int,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
    ) -> None:
        self._pipeline = pipeline
        self._topics = settings.topics
        self._producer = producer
        self._metrics = metrics
        self._partitions = index_partitions
        self._now = now
        self._jitter = jitter  # of a retry's delay

    async def write(
        self, messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
    ) -> None:
        """Write one outcome per message. Returns once Kafka has acknowledged all."""
        outcomes = list(map(_dead_letter_if_too_large, messages, outcomes))
        plan = self._plan(messages, outcomes)
        what = f"{self._pipeline}: a batch of {len(messages)} events"
        failures = self._metrics.write_failures.labels(self._pipeline)
        while plan:
            writes = [Write(planned.message, planned.required) for planned in plan]
            refused = await deliver(self._producer, writes, what=what, failures=failures)
            plan = [
                self._replacement(planned, error)
                for planned, error in zip(plan, refused, strict=True)
                if error is not None
            ]
        self._count(outcomes)

    def _plan(
        self, messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
    ) -> list[_Planned]:
        plan = [self._record(key, entry) for key, entry in latest_records(outcomes)]
        for message, outcome in zip(messages, outcomes, strict=True):
            plan += [self._dead_letter_write(message, fault) for fault in outcome.faults]
            if outcome.retry is not None:
                plan.append(self._retry(message, outcome.retry))
        return plan

    def _replacement(self, planned: _Planned, error: SendError) -> _Planned:
        """Return the dead letter that replaces a refused message."""
        if isinstance(planned.carries, Fault):
            return self._dead_letter_write(planned.source, planned.carries, bare=True)
        if isinstance(planned.carries, Retry):
            return self._counted_dead_letter(planned.source, _exhausted_fault(planned.carries))
        size = len(planned.message.value or b"")
        code = "record_too_large" if error.too_large else "internal"
        fault = Fault("log", code, f"its record of {size} bytes is refused: {error}")
        return self._counted_dead_letter(planned.source, fault)

    def _record(self, key: bytes, entry: RecordEntry) -> _Planned:
        """Return the record, or a dead letter if the record is too large for the log."""
        message = index_message(key, entry, self._topics.index_log, self._partitions)
        source, size = entry[2].message, len(message.value or b"")
        if size <= RECORD_LIMIT:
            return _Planned(message, source, entry)
        text = f"its record has {size} bytes, the index log takes {RECORD_LIMIT}"
        return self._counted_dead_letter(source, Fault("log", "record_too_large", text))

    def _retry(self, message: SourceMessage, retry: Retry) -> _Planned:
        """Return the retry message of an event."""
        later = replace(retry, delay_s=retry.delay_s * self._jitter())
        now_ms = round(self._now() * 1000)
        outgoing = retry_message(self._topics.product_retry, message, later, now_ms=now_ms)
        return _Planned(outgoing, message, retry)

    def _dead_letter_write(
        self, message: SourceMessage, fault: Fault, *, bare: bool = False
    ) -> _Planned:
        """Return the dead letter. A `bare` one has the position alone, and has to be written."""
        outgoing = dead_letter(self._topics.dead_letters, message, fault, bare=bare)
        return _Planned(outgoing, message, fault, required=bare)

    def _counted_dead_letter(self, message: SourceMessage, fault: Fault) -> _Planned:
        """Count and return the dead letter of a fault that is not in the outcome."""
        self._metrics.dead_letters.labels(fault.code).inc()
        return self._dead_letter_write(message, fault)

    def _count(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            self._metrics.events.labels(self._pipeline, outcome.type, outcome.label).inc()
            for fault in outcome.faults:
                self._metrics.dead_letters.labels(fault.code).inc()


def _dead_letter_if_too_large(message: SourceMessage, outcome: EventOutcome) -> EventOutcome:
    """Return the outcome; an event too large for the retry topic is dead-lettered."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in message.headers)
    size = message.size + len(message.key or b"") + headers
    if outcome.retry is None or size <= ROOM:
        return outcome
    faults = [*outcome.faults, _exhausted_fault(outcome.retry)]
    return replace(outcome, label="dead_lettered", faults=faults, retry=None)


def _exhausted_fault(retry: Retry) -> Fault:
    return Fault("fetch", retry.code, retry.message, retry.attempt.total_attempts)
