"""Work side by side on a stream in memory; what only a fake can show of rebalances."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from streams.lanes.window import Window, run_side_by_side
from streams.messages import SourceMessage
from tests.contract.side_by_side import SideBySideContract


def event(offset: int, value: bytes, generation: int, ack: Callable[[], None]) -> Any:
    """Return an event as Faust gives it."""
    message = SimpleNamespace(
        topic="t", partition=0, offset=offset, timestamp=1.5, key=b"k", value=value,
        headers=None, generation_id=generation,
    )  # fmt: skip
    return SimpleNamespace(message=message, ack=ack)


class FakeStream:
    """Events one by one, as `noack().events()` gives them, and what was acknowledged."""

    def __init__(self, values: Sequence[bytes], generations: Sequence[tuple[int, int]]) -> None:
        self.acks: list[tuple[int, int]] = []  # generation, offset
        self._values = values
        self._generations = generations

    def noack(self) -> "FakeStream":
        """Return a stream whose acknowledgements are manual: this one."""
        return self

    async def events(self) -> AsyncIterator[Any]:
        """Yield, in each generation (number, first offset), what there is from there on."""
        for generation, first in self._generations:
            for offset in range(first, len(self._values)):
                ack = partial(self.acks.append, (generation, offset))
                yield event(offset, self._values[offset], generation, ack)
                await asyncio.sleep(0)
        await asyncio.Event().wait()


async def run_until(stream: FakeStream, window: Window, done: asyncio.Event) -> None:
    """Consume until `done` and what it lets go on is acknowledged; then stop as a worker does."""
    lane = asyncio.create_task(run_side_by_side(stream, window))
    await asyncio.wait_for(done.wait(), 10)
    await window.close(0.2)
    lane.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await lane


class TestSideBySideInMemory(SideBySideContract):
    """The contract without a broker."""

    async def acked(
        self, values: Sequence[bytes], window: Window, done: asyncio.Event
    ) -> list[int]:
        """Run one generation; acknowledgements must come in order."""
        stream = FakeStream(values, [(1, 0)])
        await run_until(stream, window, done)
        return [offset for _, offset in stream.acks]


async def test_after_a_rebalance_the_old_work_is_dropped_and_acknowledges_nothing() -> None:
    """Offset 0 hangs in generation 1; in 2 all come again and are acknowledged from 0 on."""
    done = asyncio.Event()
    seen = 0

    async def handle(message: SourceMessage) -> None:
        nonlocal seen
        seen += 1
        if message.offset == 0 and seen == 1:
            await asyncio.Event().wait()
        if seen == 6:
            done.set()

    stream = FakeStream([b"a", b"b", b"c"], [(1, 0), (2, 0)])
    window = Window(handle, events=10, size=1000)
    await run_until(stream, window, done)
    assert stream.acks == [(2, 0), (2, 1), (2, 2)]
    assert len(window) == 0
