"""Whether the topics are there, asked before anything that would wait for them."""

from collections.abc import Iterable

from streams.settings import Settings
from streams.topics import TopicError, TopicSpec, TopicState, describe_topics, topic_specs


def require_topics(settings: Settings, more: Iterable[str] = ()) -> list[TopicState]:
    """Return the state of every topic, `more` included, once all are seen to be there.

    Raises TopicError `topics_missing`, or `unreachable` when no broker answers.
    """
    others = [TopicSpec(name, 1, {}) for name in more]
    states = describe_topics(settings.bootstrap, [*topic_specs(settings.topics), *others])
    if missing := [state.name for state in states if state.partitions is None]:
        raise TopicError(
            f"topics are missing: {', '.join(missing)}; run `visualsearch topics create`",
            code="topics_missing",
        )
    return states
