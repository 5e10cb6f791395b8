"""Calls that may never return: who waits for them, and who need not."""

import asyncio
import threading
import time

import pytest

from streams.images.bounded_threads import BoundedThreads, NoThreadError
from tests.support.waiting import until


def alive(name: str) -> int:
    """Return how many threads of a name there are."""
    return sum(thread.name == name for thread in threading.enumerate())


async def test_results_and_errors_are_handed_on() -> None:
    """From a thread that no exit of the process waits for."""
    threads = BoundedThreads("handed", 2)
    assert await threads.run_within(5.0, lambda: threading.current_thread().name) == "handed"
    assert await threads.run_within(5.0, lambda: threading.current_thread().daemon)

    def full() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await threads.run_within(5.0, full)


async def test_no_more_calls_run_than_there_are_threads() -> None:
    """The others wait their turn."""
    threads, running, most = BoundedThreads("bounded", 3), 0, 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run_within(10.0, call) for _ in range(30)))
    assert most == 3


async def test_calls_that_hang_are_abandoned_and_bounded() -> None:
    """They hold their threads; whoever comes then is refused at once, until one returns."""
    threads, returning = BoundedThreads("hanging", 3), threading.Event()
    calls = [threads.run_within(0.2, returning.wait) for _ in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 3 + [NoThreadError] * 17
    assert (threads.abandoned, alive("hanging")) == (3, 3)
    started = time.monotonic()
    with pytest.raises(NoThreadError, match="3 calls before"):
        await threads.run_within(30.0, lambda: None)
    assert time.monotonic() - started < 5.0
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 1) == 1
    returning.set()
    await until(lambda: threads.abandoned == 0)
    assert await threads.run_within(0.2, lambda: 2) == 2


async def test_a_caller_that_is_canceled_leaves_a_call_behind() -> None:
    """It is counted until it returns; one that had returned is not."""
    threads, returning = BoundedThreads("canceled", 1), threading.Event()
    waiting = asyncio.create_task(threads.run_within(5.0, returning.wait))
    await until(lambda: alive("canceled") == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert threads.abandoned == 1
    returning.set()
    await until(lambda: threads.abandoned == 0)
    assert await threads.run_within(5.0, lambda: 1) == 1
    assert threads.abandoned == 0


async def test_without_a_thread_the_turn_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is at its limit of threads: this call fails, not those to come."""
    threads = BoundedThreads("none", 1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            await threads.run_within(1.0, lambda: 1)
    assert await threads.run_within(1.0, lambda: 1) == 1
    assert threads.abandoned == 0
