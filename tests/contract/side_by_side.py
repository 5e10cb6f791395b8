"""Work side by side, offsets in order: one behaviour, whatever the messages come from."""

import asyncio
from collections.abc import Sequence

from streams.group_reader import Sink
from streams.lanes.window import Handle, Window
from streams.messages import SourceMessage

VALUES = [b"%d" % n for n in range(7)]


class SideBySideContract:
    """Inherit, and implement `finished`."""

    async def finished(self, values: Sequence[bytes], sink: Sink, done: asyncio.Event) -> int:
        """Run the sink over messages until `done`, stop; return the offset to go on from."""
        raise NotImplementedError

    async def run(self, handle: Handle, done: asyncio.Event, *, events: int = 100) -> int:
        """Run `handle` over `VALUES`."""
        return await self.finished(VALUES, Window(handle, events=events, size=1000), done)

    async def test_every_offset_is_released_once_its_message_is_handled(self) -> None:
        """Every message is handled once."""
        seen: list[bytes | None] = []
        done = asyncio.Event()

        async def handle(message: SourceMessage) -> None:
            seen.append(message.value)
            if len(seen) == len(VALUES):
                done.set()

        assert await self.run(handle, done) == 7
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

        assert await self.run(handle, done) == 2
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

        assert await self.run(handle, done) == 7

    async def test_a_window_that_is_full_waits(self) -> None:
        """Nothing is lost by it, and the reader goes on when there is room again."""
        seen: list[bytes | None] = []
        done = asyncio.Event()

        async def handle(message: SourceMessage) -> None:
            await asyncio.sleep(0.01)
            seen.append(message.value)
            if len(seen) == len(VALUES):
                done.set()

        assert await self.run(handle, done, events=2) == 7
        assert sorted(seen, key=str) == VALUES

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

        assert await self.run(handle, done) == 7
