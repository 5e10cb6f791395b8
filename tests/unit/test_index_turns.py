"""Who comes first: many side by side, or something that is done alone, in steps between them."""

import threading
import time
from types import SimpleNamespace

import pytest

from tests.threads import LONG_S, until
from visualsearch.index import fair
from visualsearch.index.fair import KEPT_OUT_STEPS, Turns

ASKED = 40


class Patience(threading.Event):
    """Of whoever wants something done alone: it ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all is done, or for `ends`."""
        assert timeout is not None
        assert self._over.acquire(timeout=LONG_S)
        return self.is_set()

    def set(self) -> None:
        """Say that all is done."""
        super().set()
        self.ends()

    def ends(self) -> None:
        """Say that the time is over."""
        self._over.release()


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


def test_where_none_is_the_last_to_leave_the_next_ones_are_kept_out() -> None:
    """They wait until those who are there have left, and some steps are done at once."""
    turns, leave, inside = Turns(), threading.Event(), threading.Event()
    turns._over = patience = Patience()
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

        turns.alone([first, lambda: came.append("alone")], LONG_S)
        thread.join()
    assert came == ["late", "alone"] * ASKED


@pytest.mark.parametrize("patience_s", [0.0, 0.0005, LONG_S])
def test_alone_is_alone(patience_s: float) -> None:
    """Of many threads that come and go, no other does steps, nor is there but by patience's end."""
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
        for _ in range(500):
            turns.alone([lambda: work(me), lambda: work(me)], patience_s)

    threads = [
        threading.Thread(target=each, args=(me,)) for me, each in enumerate((many, many, one, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    if patience_s == LONG_S:
        assert {each[:2] for each in seen} == {(False, False)}
    assert {each[2:] for each in seen} == {(True, False), (False, True)}
    assert (turns._inside, turns._closed, turns._doing) == (0, False, False)
    assert not turns._waiting
    assert not turns._steps


def test_who_comes_has_more_time_than_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that of many short searches beside records few do a step."""
    turns, now, done = Turns(), [100.0], list[float]()
    turns._over = patience = Patience()
    monkeypatch.setattr(fair, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def step() -> None:
        now[0] += 1.0
        done.append(now[0])

    def comes(at: float) -> None:
        with turns:
            now[0] = at

    with turns:
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
    assert done[2:] == [108.5, 109.5, 110.5, 111.5], "where others are kept out it does not count"
    comes(123.4)
    assert len(done) == 6
    for at in (130.0, 140.0, 150.0):
        comes(at)
    wants.join(LONG_S)
    assert done[6:] == [131.0, 141.0, 151.0]


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
    with turns:
        thread.start()
        until(lambda: len(turns._steps) == 2)
    thread.join(LONG_S)
    assert raised == ["inside"]
    with pytest.raises(ValueError, match="inside"):
        turns.alone([fails, lambda: done.append("following")], LONG_S)
    assert done == []
    turns.alone([lambda: done.append("next")], LONG_S)
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
