"""Who comes first: many side by side, or something that is done alone."""

import threading
import time
from types import SimpleNamespace

import pytest

from tests.threads import LONG_S, until
from visualsearch.index import fair
from visualsearch.index.fair import Turns

ASKED = 40


def test_one_alone_comes_before_those_who_come_later() -> None:
    """It waits for those who are there, and whoever comes meanwhile for it."""
    turns, leave = Turns(), threading.Event()
    came: list[str] = []
    inside = threading.Event()

    def early() -> None:
        with turns:
            inside.set()
            leave.wait(LONG_S)
            came.append("early")

    def alone() -> None:
        turns.alone(lambda: came.append("alone"), LONG_S)

    def late() -> None:
        with turns:
            came.append("late")

    early_one, lone, *late_ones = [
        threading.Thread(target=each) for each in (early, alone, late, late)
    ]
    early_one.start()
    assert inside.wait(LONG_S)
    lone.start()
    until(lambda: turns._closed)
    for thread in late_ones:
        thread.start()
    until(lambda: len(turns._waiting) == 2)
    assert came == []
    leave.set()
    for thread in (early_one, lone, *late_ones):
        thread.join(LONG_S)
    assert came == ["early", "alone", "late", "late"]


def test_those_who_have_waited_come_before_the_next_one_alone() -> None:
    """One who wants to be alone again and again keeps nobody out."""
    turns, came = Turns(), list[str]()

    def late() -> None:
        with turns:
            came.append("late")

    for _ in range(ASKED):
        thread = threading.Thread(target=late)

        def first(thread: threading.Thread = thread) -> None:
            thread.start()
            until(lambda: bool(turns._waiting))

        turns.alone(first, LONG_S)
        turns.alone(lambda: came.append("alone"), LONG_S)  # at once again
        thread.join()
    assert came == ["late", "alone"] * ASKED


def test_alone_is_alone() -> None:
    """Of many threads that come and go, no other is there while one is."""
    turns, inside, seen = Turns(), [False] * 4, set[tuple[bool, ...]]()

    def many(me: int) -> None:
        for _ in range(2_000):
            with turns:
                inside[me] = True
                time.sleep(0)  # lets the others go on
                inside[me] = False

    def work(me: int) -> None:
        inside[me] = True
        time.sleep(0)
        seen.add(tuple(inside))
        inside[me] = False

    def one(me: int) -> None:
        for _ in range(1_000):
            assert turns.alone(lambda: work(me), LONG_S)

    threads = [
        threading.Thread(target=each, args=(me,)) for me, each in enumerate((many, many, one, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert seen == {(False, False, True, False), (False, False, False, True)}
    assert (turns._inside, turns._closed, turns._waiting, turns._task) == (0, False, [], None)


def test_who_comes_has_more_time_than_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that of many searches beside records few wait for them; if none comes, nor do these."""
    turns, now, slept = Turns(), [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    clock = SimpleNamespace(perf_counter=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(fair, "time", clock)

    def alone(takes: float, rest: float = 3.0) -> list[float]:
        slept.clear()
        turns.alone(lambda: passes(takes), LONG_S, rest)
        return slept

    def passes(seconds: float) -> None:
        now[0] += seconds

    def comes(takes: float) -> None:
        with turns:
            passes(takes)

    assert alone(1.0) == []
    assert alone(2.0) == [], "nobody came"
    comes(0.5)
    assert alone(1.0) == [5.5], "three times two, less what has gone by"
    assert alone(1.0) == [], "nobody came since"
    comes(3.0)
    assert alone(1.0) == [], "it is over"
    comes(0.5)
    assert alone(1.0, rest=0.0) == []
    thread = threading.Thread(target=comes, args=(0.0,))

    def long() -> None:
        thread.start()
        until(lambda: bool(turns._waiting))
        passes(2.0)

    turns.alone(long, LONG_S, 3.0)
    thread.join()
    assert alone(1.0) == [6.0], "who has waited came, too"


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_to_leave_does_what_is_to_be_done_alone(fails: bool) -> None:
    """No other thread is woken for it; what it raises is for whoever wanted it done."""
    turns, by, raised = Turns(), list[str](), list[str]()

    def work() -> None:
        by.append(threading.current_thread().name)
        if fails:
            raise ValueError("inside")

    def wants() -> None:
        try:
            assert turns.alone(work, LONG_S)
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=wants)
    with turns, turns:
        thread.start()
        until(lambda: turns._task is not None)
    thread.join(LONG_S)
    assert by == [threading.current_thread().name]
    assert raised == (["inside"] if fails else [])
    with turns:
        assert turns._inside == 1


def test_one_alone_does_not_wait_for_ever() -> None:
    """Nor does an error keep the others out, and who left too late is waited for no longer."""
    turns, done = Turns(), list[str]()
    with turns:
        assert not turns.alone(lambda: done.append("beside"), 0.001), "it is still there"
        with pytest.raises(ZeroDivisionError):
            turns.alone(lambda: 1 / 0, 0.001)
        with turns:  # as another thread would
            pass
    assert done == ["beside"]
    assert turns.alone(lambda: done.append("alone"), 0.0)
    assert done == ["beside", "alone"]
