"""Who waits for whom: a lock that no thread keeps from others, graphs that let records pass."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.snapshots import DIM, LISTED, MODEL, V, pictured
from visualsearch import engine as engine_module
from visualsearch.engine import REST, YIELD_S, Engine
from visualsearch.index import fair
from visualsearch.index.arrays import IntArray
from visualsearch.index.fair import Busy, FairLock, Turns
from visualsearch.index.graph import Segment
from visualsearch.index.products import Products
from visualsearch.types import FloatArray, Query

ASKED = 40
LONG_S = 60.0


def test_who_waits_comes_next() -> None:
    """A thread that lets go of it only to take it again lets the one that waits in between."""
    lock = FairLock()
    came: list[str] = []

    def other() -> None:
        with lock:
            came.append("other")

    for _ in range(ASKED):
        thread = threading.Thread(target=other)
        with lock:
            thread.start()
            _until(lock._turnstile.locked)  # until the other one stands in line
        with lock:  # at once again
            came.append("first")
        thread.join()
    assert came == ["other", "first"] * ASKED


def test_one_at_a_time() -> None:
    """What is read and written under it is not mixed up."""
    lock, total = FairLock(), [0]

    def add() -> None:
        for _ in range(5_000):
            with lock:
                now = total[0]
                total[0] = now + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == [20_000]


def test_an_error_lets_go_of_it() -> None:
    """The next one is let in."""
    lock = FairLock()
    with pytest.raises(ValueError, match="inside"), lock:
        raise ValueError("inside")
    with lock:
        pass


def test_graphs_wait_for_records_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch after the other may come: each part waits for a moment at most, then goes on."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V[:40]))
    calm: list[bool] = []
    real = Segment.add

    def add(self: Segment, rows: IntArray, vectors: FloatArray, threads: int = 1) -> None:
        calm.append(engine._applying.wait(0))
        real(self, rows, vectors, threads)

    monkeypatch.setattr(Segment, "add", add)
    with engine._applying:  # as if they were just being applied
        assert engine.index_pending(20) == 20
    monkeypatch.setattr(Products, "judge", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.apply(pictured(V[:1]))
    assert engine.index_pending(20) == 20, "also records that failed are over"
    assert calm == [False, True]


def test_records_let_a_search_pass_but_do_not_wait_for_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each group of records waits for those at it, for a moment at most."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    waited = _waits(engine, monkeypatch)
    with engine._searching:
        engine.apply(pictured(V[:40]))
    engine.apply(pictured(V[40:60]))
    assert waited == [(YIELD_S, False)] * 2 + [(YIELD_S, True)], "by some 25 products"
    assert len(engine.search(Query(V[0], top_k=100)).hits) == 40
    engine.apply(pictured(V[60:61]))
    assert waited[3:] == [(YIELD_S, True)], "a search that is over is waited for no longer"


def test_a_burst_comes_in_larger_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sooner it is in and on lists, the sooner searches are quick again: no rest either."""
    monkeypatch.setattr(engine_module, "BURST", 40)
    engine = Engine(MODEL, DIM, layout=LISTED)
    rests: list[float] = []
    waited = _waits(engine, monkeypatch, rests)
    engine.apply(pictured(V[:40]))
    assert len(waited) == 2, "by some 25 products"
    engine.apply(pictured(V[40:120]))
    assert len(waited) == 3, "by some 100"
    assert rests == [REST, REST, 0.0]


def _waits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, rests: list[float] | None = None
) -> list[tuple[float, bool]]:
    """Return what becomes a list of how long each group was ready to wait, and whether all left."""
    waited: list[tuple[float, bool]] = []
    real = engine._searching.alone

    def alone(work: Callable[[], object], most_s: float, rest: float) -> bool:
        if rests is not None:
            rests.append(rest)
        left = real(work, most_s, rest)
        waited.append((most_s, left))
        return left

    monkeypatch.setattr(engine._searching, "alone", alone)
    return waited


def test_busy_until_the_last_one_has_left() -> None:
    """Whoever waits goes on then, and not before."""
    busy, inside, leave = Busy(), threading.Event(), threading.Event()

    def other() -> None:
        with busy:
            inside.set()
            leave.wait(LONG_S)

    thread = threading.Thread(target=other)
    assert busy.wait(0.0)
    with busy:
        thread.start()
        assert inside.wait(LONG_S)
    assert not busy.wait(0.01)
    leave.set()
    assert busy.wait(LONG_S)
    thread.join()


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
    _until(lambda: turns._closed)
    for thread in late_ones:
        thread.start()
    _until(lambda: len(turns._waiting) == 2)
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
            _until(lambda: bool(turns._waiting))

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
        _until(lambda: bool(turns._waiting))
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
        _until(lambda: turns._task is not None)
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


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.0001)
