"""Creates and checks topics.

Creation is idempotent: existing topics are not changed, and differences are reported.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from streams.config.topics import TopicSpec
from streams.kafka.topic_leaders import leaderless_topics
from visualsearch.errors import VisualSearchError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

log = logging.getLogger(__name__)
BROKER_DEFAULT_REPLICATION = -1


class TopicError(VisualSearchError):
    """Topics that cannot be created or read; codes: unreachable, topics_failed."""

    code = "topics_failed"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One property of a topic that is not as it should be ("partitions" or a config's name)."""

    topic: str
    what: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is; `partitions` is None where it does not exist."""

    name: str
    partitions: int | None
    config: Mapping[str, str] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def status(self) -> str:
        """Return missing, mismatch or ok."""
        if self.partitions is None:
            return "missing"
        return "mismatch" if self.mismatches else "ok"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` did: names created, names found, differences left as they are."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def create_topics(
    bootstrap: str, specs: Sequence[TopicSpec], *, timeout_s: float = 30.0
) -> TopicReport:
    """Create the topics that are missing and report what differs in those that are there.

    Returns once every topic has its leaders, so that a producer may send at once. Raises
    TopicError.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    before = describe_topics(bootstrap, specs, timeout_s=timeout_s)
    missing = [s for s, state in zip(specs, before, strict=True) if state.partitions is None]
    wanted = [
        NewTopic(s.name, s.partitions, BROKER_DEFAULT_REPLICATION, config=dict(s.config))
        for s in missing
    ]
    admin = admin_client(bootstrap)
    created = set()
    futures = admin.create_topics(wanted, request_timeout=timeout_s) if wanted else {}
    for name, future in futures.items():
        try:
            future.result()
            created.add(name)
        except KafkaException as error:
            # Another process was quicker: theirs is described below like any existing topic.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(f"Topic {name}: {error.args[0].str()}") from error
    _wait_for_leaders(bootstrap, [s.name for s in specs], timeout_s)
    after = describe_topics(bootstrap, specs, timeout_s=timeout_s)
    return TopicReport(
        created=tuple(s.name for s in specs if s.name in created),
        existing=tuple(s.name for s in specs if s.name not in created),
        mismatches=tuple(item for state in after for item in state.mismatches),
    )


def describe_topics(
    bootstrap: str, specs: Sequence[TopicSpec], *, timeout_s: float = 30.0
) -> list[TopicState]:
    """Return each topic as it is beside how it should be, in the order of `specs`."""
    from confluent_kafka import KafkaException

    admin = admin_client(bootstrap)
    try:
        counts = {
            name: len(topic.partitions)
            for name, topic in admin.list_topics(timeout=min(timeout_s, 10.0)).topics.items()
            if topic.error is None
        }
        configs = _configs(admin, [s.name for s in specs if s.name in counts], timeout_s)
    except KafkaException as error:
        raise TopicError(
            f"No answer from Kafka at {bootstrap}: {error.args[0].str()}", code="unreachable"
        ) from error
    return [_state(spec, counts.get(spec.name), configs.get(spec.name, {})) for spec in specs]


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Identity of a topic; a recreated topic gets another `topic_id`."""

    cluster_id: str
    topic_id: str
    partitions: int


def topic_identity(bootstrap: str, topic: str, *, timeout_s: float) -> TopicIdentity:
    """Return the identity of a topic.

    Raises TopicError, `unreachable` if a later call may succeed.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection

    admin = admin_client(bootstrap)
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
        cluster = admin.describe_cluster(request_timeout=timeout_s).result(2 * timeout_s)
        found = described[topic].result(2 * timeout_s)
    except TimeoutError as error:
        raise TopicError(f"No answer from Kafka at {bootstrap}", code="unreachable") from error
    except KafkaException as error:
        fault = error.args[0]
        text = f"Kafka at {bootstrap} does not describe {topic}: {fault.str()}"
        # Codes below 0 are the client's: timeouts, connections. Others are refusals, as by an ACL.
        never = KafkaError._UNSUPPORTED_FEATURE  # noqa: SLF001 - its public name
        away = fault.retriable() or (fault.code() < 0 and fault.code() != never)
        raise TopicError(text, code="unreachable" if away else None) from error
    return TopicIdentity(cluster.cluster_id, str(found.topic_id), len(found.partitions))


def delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete topics that a run created; a failure is logged."""
    admin = admin_client(bootstrap)
    for name, deleted in admin.delete_topics(list(names), operation_timeout=10).items():
        if (error := deleted.exception(timeout=15)) is not None:
            log.warning("topic %s was not deleted: %s", name, error)


def _state(spec: TopicSpec, partitions: int | None, config: Mapping[str, str]) -> TopicState:
    """Compare a topic with its spec; only the configs that the spec names count."""
    if partitions is None:
        return TopicState(spec.name, None)
    found = {name: config.get(name, "unknown") for name in spec.config}
    differing = [
        Mismatch(spec.name, name, wanted, found[name])
        for name, wanted in spec.config.items()
        if found[name] != wanted
    ]
    if partitions != spec.partitions:
        count = Mismatch(spec.name, "partitions", str(spec.partitions), str(partitions))
        differing.insert(0, count)
    return TopicState(spec.name, partitions, found, tuple(differing))


def _configs(
    admin: "AdminClient", names: Iterable[str], timeout_s: float
) -> dict[str, dict[str, str]]:
    from confluent_kafka.admin import ConfigResource, ResourceType

    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answers = admin.describe_configs(resources, request_timeout=timeout_s)
    return {
        resource.name: {name: str(entry.value) for name, entry in future.result().items()}
        for resource, future in answers.items()
    }


def _wait_for_leaders(bootstrap: str, names: Sequence[str], timeout_s: float) -> None:
    """Wait until producers may send through any broker. Raises TopicError."""
    from confluent_kafka import KafkaException

    try:
        unled = leaderless_topics(admin_client, bootstrap, names, timeout_s)
    except KafkaException as error:
        text = f"No answer from Kafka at {bootstrap}: {error.args[0].str()}"
        raise TopicError(text, code="unreachable") from error
    if unled:
        raise TopicError(f"Topics without a leader after {timeout_s:.0f} s: {', '.join(unled)}")


def admin_client(bootstrap: str) -> "AdminClient":
    """Return a client that does not write to standard error itself."""
    from confluent_kafka.admin import AdminClient

    quiet = logging.getLogger("visualsearch.topics")
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}, logger=quiet)
