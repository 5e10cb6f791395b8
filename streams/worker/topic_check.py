"""Checks that all topics exist, before anything would wait for them."""

from collections.abc import Iterable

from streams.config.settings import Settings
from streams.config.topics import TopicSpec, topic_specs
from streams.kafka.topics import TopicError, TopicState, describe_topics


def require_topics(
    settings: Settings, more: Iterable[str] = (), *, timeout_s: float = 30.0
) -> list[TopicState]:
    """Return the state of every topic, `more` included; all exist.

    Raises TopicError `topics_missing`, or `unreachable` when no broker answers.
    """
    own = topic_specs(settings.topics)
    others = [TopicSpec(name, 1, {}) for name in more]
    states = describe_topics(settings.bootstrap, [*own, *others], timeout_s=timeout_s)
    missing = [state.name for state in states if state.partitions is None]
    if not missing:
        return states
    cures = []
    if {spec.name for spec in own} & set(missing):
        cures.append("run `visualsearch topics create`")
    if foreign := sorted({spec.name for spec in others} & set(missing)):
        cures.append(f"create the reply topics of your apps: {', '.join(foreign)}")
    raise TopicError(
        f"topics that are missing: {', '.join(missing)}; {', and '.join(cures)}",
        code="topics_missing",
    )
