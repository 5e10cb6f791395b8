"""Waiting for Kafka: said at once and once a minute, until it is there."""

import logging

import pytest

from streams.kafka.topics import TopicError
from streams.kafka.wait import KafkaWait


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


async def test_what_is_waited_for_is_said_at_once_then_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Three minutes without a broker are three lines, not ten a second."""
    clock = Clock()
    wait = KafkaWait("there:9092", now=lambda: clock.now, sleep=clock.sleep)
    reasons = set()

    def ask() -> int:
        reasons.add(wait.reason)
        if clock.now < 170:
            raise TopicError("No answer", code="unreachable")
        return 8

    with caplog.at_level(logging.INFO):
        assert await wait.wait_for(ask) == 8
    assert reasons == {None, "waiting for Kafka at there:9092"}
    assert wait.reason is None
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["waiting for Kafka at there:9092: No answer"] * 3


async def test_topics_are_waited_for_as_well_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """At a first deployment they are made beside; another reason is said at once."""
    clock = Clock()
    wait = KafkaWait("there:9092", now=lambda: clock.now, sleep=clock.sleep)
    said: list[str | None] = []

    def ask() -> int:
        said.append(wait.reason)
        if clock.now < 2:
            raise TopicError("No answer", code="unreachable")
        if clock.now < 4:
            raise TopicError("topics that are missing: a; run b", code="topics_missing")
        return 8

    assert await wait.wait_for(ask) == 8
    assert said[-1] == "waiting for topics that are missing: a; run b"
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 2


async def test_what_no_time_cures_is_raised() -> None:
    """Waiting would hide it."""

    def ask() -> int:
        raise TopicError("no such thing")

    with pytest.raises(TopicError, match="no such thing"):
        await KafkaWait("there:9092").wait_for(ask)
