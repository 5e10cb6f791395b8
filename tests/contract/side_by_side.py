"""Work side by side, acknowledgements in order: one behaviour, whatever stream it runs on."""

import asyncio
from collections.abc import Sequence

from streams.lanes.window import Handle, Window
from streams.messages import SourceMessage

VALUES = [b"%d" % n for n in range(7)]


class SideBySideContract:
    """Inherit, and implement `acked`."""

    async def acked(
        self, values: Sequence[bytes], window: Window, done: asyncio.Event
    ) -> list[int]:
        """Run the window over messages until `done`, stop; return the acknowledged offsets."""
        raise NotImplementedError

    async def run(self, handle: Handle, done: asyncio.Event, *, events: int = 100) -> list[int]:
        """Run `handle` over `VALUES`."""
        return await self.acked(VALUES, Window(handle, events=events, size=1000), done)

    async def test_everything_is_acknowledged_once_it_is_handled(self) -> None:
        """Every message is handled once."""
        seen: list[bytes | None] = []
        done = asyncio.Event()

        async def handle(message: SourceMessage) -> None:
            seen.append(message.value)
            if len(seen) == len(VALUES):
                done.set()

        assert await self.run(handle, done) == list(range(7))
        assert sorted(seen, key=str) == VALUES

    async def test_a_slow_one_keeps_back_offsets_not_work(self) -> None:
        """All others are handled; what is committed ends before it."""
        seen: list[bytes | None] = []
        done = asyncio.Event()

        async def handle(message: SourceMessage) -> None:
            seen.append(message.value)
            if len(seen) == len(VALUES):
                done.set()
            if message.value == b"2":
                await asyncio.Event().wait()

        assert await self.run(handle, done) == [0, 1]
        assert sorted(seen, key=str) == VALUES

    async def test_the_offsets_behind_a_slow_one_follow_it(self) -> None:
        """Released in the order of arrival, though finished the other way round."""
        done, others = asyncio.Event(), asyncio.Event()
        left = set(VALUES)

        async def handle(message: SourceMessage) -> None:
            left.discard(message.value or b"")
            if left <= {b"0"}:
                others.set()
            if message.value == b"0":
                await others.wait()
                done.set()

        assert await self.run(handle, done) == list(range(7))

    async def test_a_window_that_is_full_waits(self) -> None:
        """Two at a time: the third begins when one of them is done."""
        at_once = most = count = 0
        done = asyncio.Event()

        async def handle(_: SourceMessage) -> None:
            nonlocal at_once, most, count
            at_once, count = at_once + 1, count + 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            if count == len(VALUES):
                done.set()

        assert await self.run(handle, done, events=2) == list(range(7))
        assert most == 2

    async def test_whatever_handling_raises_it_is_tried_until_it_succeeds(self) -> None:
        """The loop goes on, and the offset is not released before."""
        failures = {b"1": 2, b"4": 1}
        done = asyncio.Event()
        left = set(VALUES)

        async def handle(message: SourceMessage) -> None:
            value = message.value or b""
            if failures.get(value, 0):
                failures[value] -= 1
                raise RuntimeError("a defect")
            left.discard(value)
            if not left:
                done.set()

        assert await self.run(handle, done) == list(range(7))
