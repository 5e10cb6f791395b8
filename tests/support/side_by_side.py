"""Work side by side, offsets in order: one behavior, whatever the messages come from."""

import asyncio
from collections.abc import Sequence

import pytest

from streams.kafka.consumer_group import Sink
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Handle, Window

VALUES = [b"%d" % n for n in range(7)]


class Seen:
    """The values that were handled; `all` is set once there are as many as were given."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.all = asyncio.Event()

    async def handle(self, message: SourceMessage) -> None:
        """Note a value."""
        self.values.append(message.value)
        if len(self.values) == len(VALUES):
            self.all.set()


class SideBySideContract:
    """Inherit, and implement `finished`."""

    async def finished(self, values: Sequence[bytes], sink: Sink, done: asyncio.Event) -> int:
        """Run the sink over messages until `done`, stop; return the offset to go on from."""
        raise NotImplementedError

    async def run(self, handle: Handle, done: asyncio.Event, *, events: int = 100) -> int:
        """Run `handle` over `VALUES`."""
        sink = Window(handle, self.given_up, events=events, size=1000)
        return await self.finished(VALUES, sink, done)

    async def given_up(self, message: SourceMessage, error: Exception) -> None:
        """Fail the test unless it expects this."""
        raise AssertionError(message.value) from error

    async def test_every_offset_is_released_once_its_message_is_handled(self) -> None:
        """Every message is handled once."""
        seen = Seen()
        assert await self.run(seen.handle, seen.all) == 7
        assert sorted(seen.values, key=str) == VALUES

    async def test_a_slow_one_keeps_back_offsets_not_work(self) -> None:
        """All others are handled; what is committed ends before it."""
        seen = Seen()

        async def handle(message: SourceMessage) -> None:
            await seen.handle(message)
            if message.value == b"2":
                await asyncio.Event().wait()

        assert await self.run(handle, seen.all) == 2
        assert sorted(seen.values, key=str) == VALUES

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
        seen = Seen()

        async def handle(message: SourceMessage) -> None:
            await asyncio.sleep(0.01)
            await seen.handle(message)

        assert await self.run(handle, seen.all, events=2) == 7
        assert sorted(seen.values, key=str) == VALUES

    async def test_what_handling_raises_twice_costs_nothing(self) -> None:
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

    async def test_what_fails_three_times_is_given_up_and_released(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A defect that stays must neither stop its partition nor hide."""
        tries = 0
        done = asyncio.Event()
        left = set(VALUES)
        given_up: list[tuple[bytes | None, Exception]] = []

        def leave(message: SourceMessage) -> None:
            left.discard(message.value or b"")
            if not left:
                asyncio.get_running_loop().call_later(0.1, done.set)

        async def handle(message: SourceMessage) -> None:
            nonlocal tries
            if message.value == b"1":
                tries += 1
                raise RuntimeError("a defect")
            leave(message)

        async def give_up(message: SourceMessage, error: Exception) -> None:
            given_up.append((message.value, error))
            leave(message)

        monkeypatch.setattr(self, "given_up", give_up)
        assert await self.run(handle, done) == 7
        assert tries == 3
        ((value, error),) = given_up
        assert (value, str(error)) == (b"1", "a defect")
