"""Checks that new topics have leaders that accept writes.

The controller knows a new topic first, then each broker. A leader accepts writes a little after the
metadata names it. A producer may use any broker, so all of them are queried.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

AGAIN_S = 0.05
ASK_S = 10.0


def leaderless_topics(
    connect: Callable[[str], "AdminClient"],
    bootstrap: str,
    names: Sequence[str],
    timeout_s: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Wait until every broker names a leader of each partition and each leader answers.

    Returns the topics without that after `timeout_s`. `connect` makes a client of one address.
    Raises KafkaException when no broker answers.
    """
    end = now() + timeout_s
    while True:
        left_s = min(max(end - now(), 1.0), ASK_S)
        if not (lacking := _without_leader(connect, bootstrap, names, left_s)) or now() > end:
            return lacking
        sleep(AGAIN_S)


def _without_leader(
    connect: Callable[[str], "AdminClient"], bootstrap: str, names: Sequence[str], timeout_s: float
) -> list[str]:
    from confluent_kafka import KafkaException

    admin = connect(bootstrap)
    found = admin.list_topics(timeout=timeout_s)
    topics = {name: found.topics.get(name) for name in names}
    brokers = list(found.brokers.values()) if len(found.brokers) > 1 else []  # one has answered
    for broker in brokers:
        # A new client queries the only broker that it knows.
        host = f"[{broker.host}]" if ":" in broker.host else broker.host
        other = connect(f"{host}:{broker.port}")
        try:
            known = other.list_topics(timeout=timeout_s).topics
        except KafkaException:  # it went away: ask again for its successor
            return list(names)
        topics |= {name: known.get(name) for name in names if not _is_led(known.get(name))}
    lacking = [name for name, topic in topics.items() if not _is_led(topic)]
    return lacking or _not_ready_leaders(admin, topics, timeout_s)


def _not_ready_leaders(admin: "AdminClient", topics: dict[str, Any], timeout_s: float) -> list[str]:
    """Return the topics whose leaders do not answer ListOffsets, which only a leader does."""
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import OffsetSpec

    wanted = {
        TopicPartition(name, number): OffsetSpec.latest()
        for name, topic in topics.items()
        for number in topic.partitions
    }
    lacking = set()
    for partition, future in admin.list_offsets(wanted, request_timeout=timeout_s).items():
        try:
            future.result()
        except KafkaException:
            lacking.add(partition.topic)
    return sorted(lacking)


def _is_led(topic: Any) -> bool:
    return (
        topic is not None
        and bool(topic.partitions)
        and all(partition.leader >= 0 for partition in topic.partitions.values())
    )
