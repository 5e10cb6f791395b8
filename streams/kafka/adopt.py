"""Migration of commits from the former consumer group of the requests."""

import logging

from streams.config.settings import Settings

log = logging.getLogger(__name__)
_ANSWER_S = 10.0
FORMER, NOW = "queries", "search"


def adopt_commits(settings: Settings) -> int:
    """Copy the commits of the former group of the requests, once; return how many were copied.

    Up to 0.1.0 a Faust group read the requests. Our consumers cannot join it: the protocols
    differ. A new group that has commits or members is left unchanged. Blocks. Raises
    KafkaException when no broker answers.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    topic = settings.topics.search_requests

    def asker(group: str) -> Consumer:
        options = {"group.id": settings.group(group), "enable.auto.commit": False}
        return Consumer(settings.kafka() | options)

    former, now = asker(FORMER), asker(NOW)
    try:
        found = former.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in found]
        own = now.committed(places, timeout=_ANSWER_S)
        if any(at.offset >= 0 or at.error is not None for at in own):
            return 0
        kept = [at for at in former.committed(places, timeout=_ANSWER_S) if at.offset >= 0]
        if not kept:
            return 0
        try:
            now.commit(offsets=kept, asynchronous=False)
        except KafkaException as error:  # the group has got members meanwhile
            log.info("%s goes its own way: %s", settings.group(NOW), error.args[0].str())
            return 0
        log.info("%s goes on where %s stopped", settings.group(NOW), settings.group(FORMER))
        return len(kept)
    finally:
        former.close()
        now.close()
