"""Who comes first: many side by side, or something that is done alone, in steps between them."""

import threading
import time
from types import SimpleNamespace

import pytest

from tests.support.threads import LONG_S, Patience, until
from visualsearch.index import fair
from visualsearch.index.fair import KEPT_OUT_STEPS, Turns

ASKED = 40


def test_nobody_is_kept_out_as_long_as_one_is_the_last_to_leave() -> None:
    """Each who leaves nobody behind does one step; no other thread does, or waits."""
    turns, by = Turns(), list[str]()
    me = threading.current_thread().name

    def work() -> None:
        by.append(threading.current_thread().name)

    wants = threading.Thread(target=lambda: turns.alone([work] * 3, LONG_S))
    with turns, turns:
        wants.start()
        until(lambda: len(turns._steps) == 3)
    assert by == [me], "not who was the first of two to leave"
    for _ in range(2):
        with turns:
            pass
    assert by == [me] * 3
    wants.join(LONG_S)
    with turns:
        pass
    assert by == [me] * 3


def test_who_was_there_when_steps_were_brought_leaves_them_to_the_next() -> None:
    """It has waited for the thread that brought them already; but only it, and only once."""
    turns, by = Turns(), list[str]()
    me = threading.current_thread().name
    for _ in range(2):
        wants = threading.Thread(
            target=lambda: turns.alone([lambda: by.append(threading.current_thread().name)], LONG_S)
        )
        with turns:
            wants.start()
            until(lambda: bool(turns._steps))
        assert by == []
        with turns:
            pass
        wants.join(LONG_S)
        assert by == [me]
        by.clear()


def test_where_none_is_the_last_to_leave_the_next_ones_are_kept_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They wait until those who are there have left, and some steps are done at once."""
    turns, leave, inside = Turns(), threading.Event(), threading.Event()
    monkeypatch.setattr(turns, "_over", patience := Patience())
    came: list[str] = []

    def early() -> None:
        with turns:
            inside.set()
            leave.wait(LONG_S)
            came.append("early")

    def late() -> None:
        with turns:
            came.append("late")

    def alone() -> None:
        turns.alone([lambda: came.append("alone")] * (KEPT_OUT_STEPS + 2), 0.0)

    early_one, lone, *late_ones = [
        threading.Thread(target=each) for each in (early, alone, late, late)
    ]
    early_one.start()
    assert inside.wait(LONG_S)
    lone.start()
    until(lambda: bool(turns._steps))
    with turns:
        came.append("beside")
    patience.ends()
    until(lambda: turns._closed)
    for thread in late_ones:
        thread.start()
    until(lambda: len(turns._waiting) == 2)
    assert came == ["beside"]
    leave.set()
    for thread in (early_one, *late_ones):
        thread.join(LONG_S)
    patience.ends()
    lone.join(LONG_S)
    first = ["beside", "early", *["alone"] * KEPT_OUT_STEPS]
    assert came[: len(first)] == first
    assert sorted(came[len(first) :]) == ["alone", "alone", "late", "late"]


def test_those_who_have_waited_come_before_the_next_step() -> None:
    """One who wants many things done alone keeps nobody out."""
    turns, came = Turns(), list[str]()

    def late() -> None:
        with turns:
            came.append("late")

    for _ in range(ASKED):
        thread = threading.Thread(target=late)

        def first(thread: threading.Thread = thread) -> None:
            thread.start()
            until(lambda: bool(turns._waiting))

        turns._left = 0.0  # long ago
        turns.alone([first, lambda: came.append("alone")], LONG_S)
        thread.join()
    assert came == ["late", "alone"] * ASKED


@pytest.mark.parametrize(("many", "patience_s"), [(1, LONG_S), (2, 0.0), (2, 0.0005)])
def test_alone_is_alone(many: int, patience_s: float) -> None:
    """One step at a time, of two threads that want some done; none beside others if they leave."""
    turns, over, seen = Turns(), threading.Event(), set[tuple[int, int]]()
    inside, doing = [0] * many, [0, 0]

    def comes(me: int) -> None:
        while not over.is_set():
            with turns:
                inside[me] = 1
                time.sleep(0)  # lets the others go on
                inside[me] = 0

    def step(me: int) -> None:
        doing[me] = 1
        time.sleep(0)
        seen.add((sum(inside), sum(doing)))
        doing[me] = 0

    def wants(me: int) -> None:
        for _ in range(500):
            turns.alone([lambda: step(me)] * 2, patience_s)

    those = [threading.Thread(target=comes, args=(me,)) for me in range(many)]
    these = [threading.Thread(target=wants, args=(me,)) for me in (0, 1)]
    for thread in (*those, *these):
        thread.start()
    for thread in these:
        thread.join(LONG_S)
    over.set()
    for thread in those:
        thread.join(LONG_S)
    assert {steps for _, steps in seen} == {1}
    if patience_s == LONG_S:
        assert {others for others, _ in seen} == {0}
    assert (turns._inside, turns._closed, turns._doing) == (0, False, False)
    assert not turns._waiting
    assert not turns._steps


def test_who_comes_has_more_time_than_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that of many short searches beside records few do a step."""
    turns, now, done = Turns(), [100.0], list[float]()
    monkeypatch.setattr(turns, "_over", patience := Patience())
    monkeypatch.setattr(fair, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def step() -> None:
        now[0] += 1.0
        done.append(now[0])

    def comes(at: float) -> None:
        with turns:
            now[0] = at

    with turns, turns:
        wants = threading.Thread(target=lambda: turns.alone([step] * 9, LONG_S, 3.0))
        wants.start()
        until(lambda: len(turns._steps) == 9)
    comes(103.0)
    assert done == [101.0]
    comes(104.0)
    assert done == [101.0, 105.0], "three times one, since"
    comes(107.0)
    with turns:
        for _ in range(2):
            patience.ends()
        until(lambda: turns._closed)
        now[0] = 107.5
    assert done[2:] == [108.5], "with the others kept out it does not count"
    for at in (111.4, 120.0, 130.0, 140.0):
        comes(at)
    assert done[3:] == [121.0, 131.0, 141.0]
    for at in (150.0, 160.0, 170.0):
        comes(at)
    wants.join(LONG_S)
    assert len(done) == 9


def test_what_a_step_raises_is_for_who_wanted_it() -> None:
    """Not for who did it; and what was to follow is not done."""
    turns, raised, done = Turns(), list[str](), list[str]()

    def fails() -> None:
        raise ValueError("inside")

    def wants() -> None:
        try:
            turns.alone([fails, lambda: done.append("following")], LONG_S)
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=wants)
    with turns, turns:
        thread.start()
        until(lambda: len(turns._steps) == 2)
    thread.join(LONG_S)
    assert raised == ["inside"]
    with pytest.raises(ValueError, match="inside"):
        turns.alone([fails, lambda: done.append("following")], 0.0)
    assert done == []
    turns.alone([lambda: done.append("next")], 0.0)
    with turns:
        assert turns._inside == 1
    assert done == ["next"]


def test_steps_do_not_wait_for_ever() -> None:
    """Where one stays they are done beside it, and it goes on as any other."""
    turns, done = Turns(), list[str]()
    with turns:
        turns.alone([lambda: done.append("beside")] * 2, 0.001)
        with turns:  # as another thread would
            pass
    assert done == ["beside"] * 2
    turns.alone([lambda: done.append("alone")], 0.0)
    assert done == ["beside", "beside", "alone"]


def test_whoever_waits_is_let_in_when_the_waiting_is_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by a Ctrl-C; what was not done yet is not done later."""
    turns, done = Turns(), list[str]()

    class BrokenOff(Patience):
        def acquire(self, blocking: bool = True, timeout: float = -1.0) -> bool:
            free = super().acquire(blocking, timeout)
            if turns._waiting:
                raise KeyboardInterrupt
            return free

    monkeypatch.setattr(turns, "_over", patience := BrokenOff())

    def late() -> None:
        with turns:
            done.append("late")

    def wants() -> None:
        with pytest.raises(KeyboardInterrupt):
            turns.alone([lambda: done.append("alone")], LONG_S)

    lone, other = [threading.Thread(target=each) for each in (wants, late)]
    with turns:
        lone.start()
        until(lambda: bool(turns._steps))
        patience.ends()
        until(lambda: turns._closed)
        other.start()
        until(lambda: bool(turns._waiting))
        patience.ends()
        for thread in (lone, other):
            thread.join(LONG_S)
    assert done == ["late"]
    assert (turns._inside, turns._closed, turns._doing) == (0, False, False)
