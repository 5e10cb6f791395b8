"""Ask a broker whether it serves: metadata answered, every partition led."""

import logging
import socket
import time
from collections.abc import Callable

POLL_S = 0.05


def _port_opens(bootstrap: str) -> bool:
    """Knock first: librdkafka backs off for up to a second after each refused connection."""
    host, _, port = bootstrap.partition(",")[0].strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except (OSError, ValueError):
        return False
    return True


def answers(bootstrap: str, *, timeout_s: float = 2.0) -> bool:
    """Say whether a metadata request is answered by a broker whose partitions all have leaders.

    Right after a restart the metadata of a topic may come before its leaders do.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if not _port_opens(bootstrap):
        return False
    quiet = logging.getLogger("visualsearch.broker.probe")
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}, logger=quiet)
    try:
        metadata = admin.list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    led = all(p.leader >= 0 for t in metadata.topics.values() for p in t.partitions.values())
    return bool(metadata.brokers) and led


def wait_until_answers(bootstrap: str, *, timeout_s: float, alive: Callable[[], bool]) -> bool:
    """Poll until the broker answers; False once its process is not `alive` or time is up."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and alive():
        if answers(bootstrap):
            return True
        time.sleep(POLL_S)
    return False
