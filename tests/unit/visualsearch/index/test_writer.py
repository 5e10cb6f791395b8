"""The thread of the background writer, as the system sees it."""

import os
import sys
import threading

import pytest

from visualsearch.index.writer import Writer

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies are Linux's")


def policy_of_a_writer() -> int:
    """Return the policy that a writer's step runs under."""
    seen: list[int] = []
    done = threading.Event()

    def step() -> int:
        seen.append(os.sched_getscheduler(0))
        done.set()
        return 0

    writer = Writer(step, on_error=lambda _: None)
    writer.start()
    writer.wake()
    assert done.wait(10.0)
    writer.close()
    return seen[0]


@needs_linux
def test_the_writer_preempts_nobody_and_the_others_stay_as_they_were() -> None:
    """When it is woken it takes no core from a search."""
    before = os.sched_getscheduler(0)
    assert policy_of_a_writer() == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before


@needs_linux
def test_the_writer_works_where_the_system_forbids_to_choose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be had is no error: the writer is only less considerate."""

    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert policy_of_a_writer() == os.sched_getscheduler(0)
