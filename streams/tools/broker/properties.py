"""The settings of a local broker: one KRaft node that is broker and controller at once."""

import base64
import uuid
from dataclasses import dataclass

from streams.tools.broker.ports import LOOPBACK

MESSAGE_MAX_BYTES = 12 * 1024 * 1024  # above the largest topic limit (dead-letters, 11 MiB)


@dataclass(frozen=True, slots=True)
class Node:
    """Where a single node listens and keeps its log; `bind` differs only within a container."""

    port: int
    controller_port: int
    log_dir: str
    bind: str = LOOPBACK


def new_cluster_id() -> str:
    """Return a random cluster id in Kafka's form: 16 bytes, URL-safe base64, never led by a dash.

    A leading dash would be taken for an option by the storage tool.
    """
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
        if not text.startswith("-"):
            return text


def server_properties(node: Node) -> dict[str, str]:
    """Return the settings of a small broker that starts quickly.

    The quorum is static (`controller.quorum.voters`), so that the controller's port may differ
    from start to start. The log cleaner is on by default since Kafka 4 and stays so.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{node.controller_port}",
        "listeners": (
            f"BROKER://{node.bind}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}"
        ),
        "advertised.listeners": f"BROKER://{LOOPBACK}:{node.port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": node.log_dir,
        # Topics are made by `visualsearch topics create`; a misspelled name must fail, not appear.
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
        # Internal topics of one node, few partitions: the first group is up at once.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the node's id is refused until its session has run out (default 9 s).
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "1000",
        # A heap of a few hundred MB: the cleaner's default buffer alone would be 128.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "log.cleaner.backoff.ms": "1000",
        "log.index.size.max.bytes": str(2 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
    }


def render(properties: dict[str, str]) -> str:
    """Write settings as a Java properties file; what is not ASCII is escaped."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)
