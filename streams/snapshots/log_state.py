"""What the log is and holds just now, asked of the broker before a snapshot is used."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streams.kafka.assignment import assignment, from_offsets, is_cut, is_end
from streams.kafka.topics import TopicError, admin_client
from streams.snapshots.source import LogIdentity, RefusedError, Source, require_offsets
from visualsearch.client.unreadable import is_unreadable

ANSWER_S = 30.0  # a partition may be without its leader for a while


def identify(bootstrap: str, topic: str) -> LogIdentity:
    """Return what tells a log from every other.

    Raises TopicError, `unreachable` where a later answer may be another one.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection

    admin = admin_client(bootstrap)
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)
        cluster = admin.describe_cluster(request_timeout=ANSWER_S).result(2 * ANSWER_S)
        found = described[topic].result(2 * ANSWER_S)
    except TimeoutError as error:
        raise TopicError(f"No answer from Kafka at {bootstrap}", code="unreachable") from error
    except KafkaException as error:
        fault = error.args[0]
        text = f"Kafka at {bootstrap} does not describe {topic}: {fault.str()}"
        # Below 0 are the client's own: timeouts, connections. Others say no, as an ACL does.
        never = KafkaError._UNSUPPORTED_FEATURE  # noqa: SLF001 - its public name
        away = fault.retriable() or (fault.code() < 0 and fault.code() != never)
        raise TopicError(text, code="unreachable" if away else None) from error
    return LogIdentity(cluster.cluster_id, topic, str(found.topic_id), len(found.partitions))


def require_readable(options: Mapping[str, str | int], source: Source) -> None:
    """Refuse a snapshot whose next records the log does not have, as it is now.

    Raises RefusedError, also `log_truncated` where the leader epoch tells that records behind an
    offset are others than those that were read; TopicError without an answer.
    """
    from confluent_kafka import KafkaException

    try:
        with _consumer(options) as consumer:
            require_offsets(source, _watermarks(consumer, source))
        # A new one: a client that knows the leader already does not compare epochs when assigned.
        with _consumer(options) as consumer:
            _probe(consumer, source)
    except KafkaException as error:
        text = f"No answer from Kafka about {source.log.topic}: {error.args[0].str()}"
        raise TopicError(text, code="unreachable") from error


@contextmanager
def _consumer(options: Mapping[str, str | int]) -> Iterator[Any]:
    from confluent_kafka import Consumer

    few = {"fetch.wait.max.ms": 10, "queued.min.messages": 1}
    consumer = Consumer(from_offsets(dict(options), "probe") | few)
    try:
        yield consumer
    finally:
        consumer.close()


def _watermarks(consumer: Any, source: Source) -> dict[int, tuple[int, int]]:
    from confluent_kafka import TopicPartition

    topic = source.log.topic
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), ANSWER_S)
        for number in range(source.log.partitions)
    }


def _probe(consumer: Any, source: Source) -> None:
    """Begin at the offsets, and see of each partition its next record, or its end."""
    from confluent_kafka import TopicPartition

    topic = source.log.topic
    consumer.assign([assignment(topic, n, at) for n, at in enumerate(source.positions)])
    left = set(range(source.log.partitions))
    give_up_at = time.monotonic() + ANSWER_S
    while left:
        message = consumer.poll(0.2)
        if time.monotonic() > give_up_at:
            raise TopicError(f"{topic}: no answer from {sorted(left)}", code="unreachable")
        if message is None:
            continue
        error = message.error()
        if error is not None and is_cut(error):
            text = f"{topic}[{message.partition()}]: {error.str()}"
            raise RefusedError(text, code="log_truncated")
        if error is None or is_end(error) or is_unreadable(message):
            left.discard(message.partition())  # and let a busy one not hold up the others:
            consumer.pause([TopicPartition(topic, message.partition())])
