"""Who waits for whom: a lock that no thread keeps from others, graphs that let records pass."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import pytest

from tests.support.snapshots import DIM, LISTED, MODEL, V, pictured
from tests.support.threads import LONG_S, until
from visualsearch import engine as engine_module
from visualsearch.engine import BEHIND_S, BEHIND_TURN, REST, TURN, Engine
from visualsearch.index.arrays import IntArray
from visualsearch.index.fair import Busy, FairLock
from visualsearch.index.graph import Segment
from visualsearch.index.products import Products
from visualsearch.index.rows import WITH_VECTORS
from visualsearch.types import Applied, FloatArray, Query, Record

ASKED = 40


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
            until(lock._turnstile.locked)  # until the other one stands in line
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


def test_records_come_in_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches come between them; in a burst they are larger, so that it is over soon."""
    monkeypatch.setattr(engine_module, "BURST", 40)
    engine = Engine(MODEL, DIM, layout=LISTED)
    sizes: list[int] = []
    rests: list[float] = []
    apply, alone = engine._apply_group, engine._searching.alone

    def apply_group(records: Sequence[Record], applied: list[Applied]) -> None:
        sizes.append(len(records) // 2)
        apply(records, applied)

    def watched(steps: Iterable[Callable[[], object]], patience_s: float, rest: float) -> None:
        rests.append(rest)
        alone(steps, patience_s, rest)

    monkeypatch.setattr(engine, "_apply_group", apply_group)
    monkeypatch.setattr(engine._searching, "alone", watched)
    with engine._searching:
        assert len(engine.apply(pictured(V[:40]))) == 80, "one that stays is not waited for"
    assert len(engine.search(Query(V[0], top_k=100)).hits) == 40
    assert max(sizes) <= TURN // WITH_VECTORS
    assert sum(sizes) == 40
    sizes.clear()
    engine.apply(pictured(V[40:120]))
    assert sizes == [80]
    assert rests == [REST, 0.0]


def test_who_is_behind_applies_more_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until there is a pause: small steps are for records that come slowly enough."""
    monkeypatch.setattr(engine_module, "GAP_S", LONG_S)
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine._paused = time.perf_counter()
    engine._begun = engine._paused - 2 * BEHIND_S
    assert engine._pace() == (BEHIND_TURN, REST)
    engine.apply(pictured(V[:1]))
    assert engine._pace() == (BEHIND_TURN, REST)
    engine._paused -= 2 * LONG_S
    assert engine._pace() == (TURN, REST)
    engine.apply(pictured(V[1:2]))
    assert engine._pace() == (TURN, REST)


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
