"""What is said while Kafka is away: the change, then once a minute, then the end."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from streams.kafka import health as broker_watch
from streams.kafka.health import BrokerWatch
from streams.metrics import Metrics
from tests.support.waiting import until


def test_a_change_is_said_at_once_and_its_lasting_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Five minutes away, asked every 5 s: a handful of lines, and the metric follows."""
    registry = CollectorRegistry()
    clock = [0.0]
    watch = BrokerWatch(lambda: True, Metrics(registry).broker_up, lambda: clock[0])

    def up() -> float | None:
        return registry.get_sample_value("visualsearch_broker_up")

    with caplog.at_level(logging.WARNING):
        watch.record(up=True)
        assert (up(), caplog.messages) == (1.0, [])
        for clock[0] in range(5, 305, 5):
            watch.record(up=False)
        assert up() == 0.0
        assert len(caplog.messages) == 5
        clock[0] = 305.0
        watch.record(up=True)
    assert up() == 1.0
    assert caplog.messages[-1] == "Kafka answers again, after 300 s"


async def test_an_error_of_the_client_is_no_answer_and_the_watch_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The metric would stand at its last value for good."""
    monkeypatch.setattr(broker_watch, "EVERY_S", 0.01)
    registry = CollectorRegistry()
    seen: list[float | None] = []
    answers = iter([RuntimeError("no thread can be had")])

    def answering() -> bool:
        seen.append(registry.get_sample_value("visualsearch_broker_up"))
        if (error := next(answers, None)) is not None:
            raise error
        return True

    watching = asyncio.create_task(BrokerWatch(answering, Metrics(registry).broker_up).run())
    await until(lambda: watching.done() or len(seen) > 2)
    assert seen[1:3] == [0.0, 1.0]
    watching.cancel()
