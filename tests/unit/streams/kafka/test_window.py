"""A window with a limit on what is in work at once, and one that finishes what it began."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from streams.kafka.messages import SourceMessage
from streams.kafka.window import Window
from tests.support.waiting import until

Make = Callable[..., Window]


class Work:
    """Messages whose handling waits at a gate; a value of `fails` raises each time."""

    def __init__(self) -> None:
        self.begun: list[bytes | None] = []
        self.done: list[bytes | None] = []
        self.given_up: list[tuple[bytes | None, str]] = []
        self.released: list[int] = []
        self.gate = asyncio.Event()

    async def handle(self, message: SourceMessage) -> None:
        """Wait for the gate."""
        self.begun.append(message.value)
        await self.gate.wait()
        if message.value == b"fails":
            raise RuntimeError("a defect")
        self.done.append(message.value)

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Note what failed, and why."""
        self.given_up.append((message.value, str(error)))

    def give(self, window: Window, *values: bytes) -> None:
        """Hand a window messages; the n-th has offset n."""
        for offset, value in enumerate(values):
            message = SourceMessage("t", 0, offset, 0, b"k", value)
            window.take(message, partial(self.released.append, offset))


@pytest.fixture
def work() -> Work:
    """Give work behind a gate that is closed."""
    return Work()


@pytest.fixture
async def make(work: Work) -> AsyncIterator[Make]:
    """Give a maker of windows over it, all of them closed in the end."""
    windows: list[Window] = []

    def made(**options: int) -> Window:
        windows.append(Window(work.handle, work.give_up, **{"events": 10, "size": 1000} | options))  # type: ignore[arg-type]
        return windows[-1]

    yield made
    for window in windows:
        await window.close(0.0)


async def test_no_more_than_the_limit_is_in_work(make: Make, work: Work) -> None:
    """The others are in the window and wait; each begins when one before it is finished."""
    window = make(at_once=2)
    work.give(window, b"0", b"1", b"2")
    await until(lambda: len(work.begun) == 2)
    await asyncio.sleep(0.01)
    assert (work.begun, len(window)) == ([b"0", b"1"], 3)
    work.gate.set()
    await until(lambda: not len(window))
    assert (work.done, work.released) == ([b"0", b"1", b"2"], [0, 1, 2])


async def test_a_window_without_a_limit_begins_all(make: Make, work: Work) -> None:
    """What waits for a host must not keep the others from it."""
    work.give(make(), b"0", b"1", b"2")
    await until(lambda: len(work.begun) == 3)


@pytest.mark.parametrize(("finish_begun", "done"), [(False, []), (True, [b"0"])])
async def test_a_rebalance_drops_what_has_not_begun(
    make: Make, work: Work, *, finish_begun: bool, done: list[bytes]
) -> None:
    """What has begun is finished where its result must not come twice, and dropped elsewhere."""
    window = make(at_once=1, finish_begun=finish_begun)
    work.give(window, b"0", b"1")
    await until(lambda: work.begun == [b"0"])
    window.cancel()
    work.gate.set()
    await until(lambda: not len(window))
    assert (work.done, work.released) == (done, [0] if finish_begun else [])
    assert work.begun == [b"0"]


async def test_settling_waits_for_what_has_begun(make: Make, work: Work) -> None:
    """And no longer than it may; the window then has room for the next assignment."""
    window = make(at_once=1, finish_begun=True)
    work.give(window, b"0", b"1")
    await until(lambda: work.begun == [b"0"])
    await window.settle(0.01)
    assert (len(window), work.released) == (1, [])
    asyncio.get_running_loop().call_later(0.01, work.gate.set)
    await window.settle(5.0)
    assert (len(window), work.done, work.released) == (0, [b"0"], [0])
    assert window.has_room


async def test_closing_ends_what_has_begun_as_well(make: Make, work: Work) -> None:
    """The time is over: it is the next owner's, and is not released."""
    window = make(finish_begun=True)
    work.give(window, b"0")
    await until(lambda: work.begun == [b"0"])
    await window.close(0.01)
    await until(lambda: not len(window))
    assert (work.done, work.released, window.has_room) == ([], [], False)
    assert window.failure is None


async def test_what_is_given_up_leaves_its_place_to_the_next(
    make: Make, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three tries of the first, then the second; both are released."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)
    work.gate.set()
    window = make(at_once=1)
    work.give(window, b"fails", b"1")
    await until(lambda: work.released == [0, 1])
    assert work.begun == [b"fails"] * 3 + [b"1"]
    assert work.given_up == [(b"fails", "a defect")]
