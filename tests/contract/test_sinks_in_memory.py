"""The pipelines' sinks fed from memory, and what only that can show of rebalances."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from streams.ingest.delay import DelayQueue
from streams.ingest.retry import FIRST, Retry, retry_message
from streams.kafka.batches import Batches
from streams.kafka.consumer_group import Sink
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Handle, Window
from tests.support.feeding import Feeder, InMemory
from tests.support.lane_acks import LaneAcksContract
from tests.support.side_by_side import VALUES, SideBySideContract
from tests.support.waiting import until


class TestBatchesInMemory(InMemory, LaneAcksContract):
    """The attribute pipeline's way."""


class TestSideBySideInMemory(InMemory, SideBySideContract):
    """The embedding pipeline's way."""


class TestBehindADelayInMemory(InMemory, SideBySideContract):
    """The same for what comes back, due at once: it says no time."""

    async def run(self, handle: Handle, done: asyncio.Event, *, events: int = 100) -> int:
        """Put a delay in front."""
        sink = DelayQueue(Window(handle, self.given_up, events=events, size=1000), longest_s=1.0)
        return await self.finished(VALUES, sink, done)


async def given_up(message: SourceMessage, error: Exception) -> None:
    """Fail the test: no message should come here."""
    raise AssertionError(message.value) from error


def window(handle: Handle) -> Sink:
    """Return the embedding pipeline's sink."""
    return Window(handle, given_up, events=10, size=1000)


def delay(handle: Handle) -> Sink:
    """Return the sink of what is tried again."""
    return DelayQueue(window(handle), longest_s=1.0)


def batches(handle: Handle) -> Sink:
    """Return the attribute pipeline's sink, which handles the messages of a batch in turn."""

    async def each(messages: Sequence[SourceMessage]) -> None:
        for message in messages:
            await handle(message)

    return Batches(each, given_up, events=3, size=1000)


@pytest.mark.parametrize("make", [window, delay, batches])
async def test_after_a_rebalance_the_old_work_is_dropped_and_releases_nothing(
    make: Callable[[Handle], Sink],
) -> None:
    """Offset 0 hangs at first; then all come again and are released from 0 on."""
    hung = asyncio.Event()

    async def handle(message: SourceMessage) -> None:
        if message.offset == 0 and not hung.is_set():
            hung.set()
            await asyncio.Event().wait()

    sink = make(handle)
    feeder = Feeder(sink)
    await feeder.feed([b"a", b"b", b"c"])
    await asyncio.wait_for(hung.wait(), 5)
    await asyncio.sleep(0.1)
    assert feeder.released == []
    feeder.rebalance()
    await feeder.feed([b"a", b"b", b"c"])
    await until(lambda: len(feeder.released) == 3)
    assert feeder.released == [0, 1, 2]
    await sink.close(0.1)


async def test_what_is_not_due_is_left_to_the_next_owner() -> None:
    """It is not handled at the close, and its offset is not released."""
    seen: list[bytes | None] = []

    async def handle(message: SourceMessage) -> None:
        seen.append(message.value)

    sink = DelayQueue(window(handle), longest_s=60.0, now=lambda: 0.0)
    headers = (("__visualsearch.retry.not_before", b"30000"),)
    sink.take(SourceMessage("t", 0, 0, 0, b"k", b"later", headers), lambda: seen.append(b"done"))
    sink.take(SourceMessage("t", 0, 1, 0, b"k", b"now"), lambda: None)
    await until(lambda: bool(seen))
    assert (seen, len(sink)) == ([b"now"], 1)
    await sink.close(0.1)
    assert seen == [b"now"]
    assert not sink.has_room
    before = asyncio.all_tasks()
    sink.take(SourceMessage("t", 0, 2, 0, b"k", b"late"), lambda: None)
    assert asyncio.all_tasks() == before  # its sink has no room any more: it would wait forever
    assert len(sink) == 1


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_years() -> None:
    """The wait is bounded by what is asked for at most."""
    done = asyncio.Event()

    async def handle(_: SourceMessage) -> None:
        done.set()

    sink = DelayQueue(window(handle), longest_s=0.1, now=lambda: 0.0)
    headers = (("__visualsearch.retry.not_before", b"1700000000000"),)
    sink.take(SourceMessage("t", 0, 0, 0, b"k", b"x", headers), lambda: None)
    await asyncio.wait_for(done.wait(), 5)
    await sink.close(0.1)


async def test_of_one_event_only_the_last_message_is_tried() -> None:
    """What it replaces is finished with: the attempts before were made, or are the same."""
    seen: list[bytes | None] = []

    async def handle(message: SourceMessage) -> None:
        seen.append(message.value)

    def message(offset: int, event: int, value: bytes) -> SourceMessage:
        retry = Retry(FIRST, 0.0, "image_timeout", "")
        first_read = SourceMessage("t", 0, event, 0, b"k", value)
        sent = retry_message("product-retry", first_read, retry, now_ms=0)
        return SourceMessage("product-retry", 0, offset, 0, sent.key, sent.value, sent.headers)

    released: list[int] = []
    sink = DelayQueue(window(handle), longest_s=60.0)
    for offset, (event, value) in enumerate([(1, b"a"), (2, b"b"), (1, b"a again")]):
        sink.take(message(offset, event, value), partial(released.append, offset))
    assert (released, len(sink)) == ([0], 2)
    await until(lambda: len(released) == 3)
    await sink.close(0.1)
    assert sorted(seen, key=str) == [b"a again", b"b"]
    assert sorted(released) == [0, 1, 2]
