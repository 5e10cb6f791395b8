"""The group that reads the requests: where it begins, and what it takes over."""

import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from streams.config.settings import Settings
from streams.kafka.adopt import FORMER, NOW, adopt_commits
from streams.tools.broker import BrokerInfo
from tests.support.harness import make_settings, make_topics
from tests.support.waiting import PATIENCE_S


def commits(settings: Settings, group: str, *wanted: tuple[int, int]) -> list[int]:
    """Commit (partition, offset) pairs, if any; return what the group has committed."""
    consumer = Consumer(
        settings.kafka() | {"group.id": settings.group(group), "enable.auto.commit": False}
    )
    topic = settings.topics.search_requests
    try:
        if wanted:
            offsets = [TopicPartition(topic, *at) for at in wanted]
            consumer.commit(offsets=offsets, asynchronous=False)
        places = [TopicPartition(topic, number) for number in range(2)]
        return [at.offset for at in consumer.committed(places, timeout=10)]
    finally:
        consumer.close()


def test_the_first_start_goes_on_where_the_former_group_stopped(
    kafka: BrokerInfo, tmp_path: Path
) -> None:
    """Once: later commits of the former group are nobody's business."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    assert adopt_commits(settings) == 0, "there is nothing to take over"
    none = commits(settings, NOW)
    assert all(offset < 0 for offset in none)
    commits(settings, FORMER, (0, 7), (1, 3))
    assert adopt_commits(settings) == 2
    assert commits(settings, NOW) == [7, 3]
    commits(settings, FORMER, (0, 99))
    assert adopt_commits(settings) == 0
    assert commits(settings, NOW) == [7, 3]


def test_a_group_that_has_members_goes_its_own_way(kafka: BrokerInfo, tmp_path: Path) -> None:
    """One that was quicker may have answered what the former group had not."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    commits(settings, FORMER, (0, 7), (1, 3))
    member = Consumer(settings.kafka() | {"group.id": settings.group(NOW)})
    member.subscribe([settings.topics.search_requests])
    try:
        give_up_at = time.monotonic() + PATIENCE_S
        while not member.assignment():
            assert time.monotonic() < give_up_at
            member.poll(0.1)
        assert adopt_commits(settings) == 0
    finally:
        member.close()
    assert all(offset < 0 for offset in commits(settings, NOW))
