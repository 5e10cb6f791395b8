"""The producer without a broker; what needs one is in the integration tier."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer, SendError

NOWHERE: dict[str, str | int] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def outgoing(number: int) -> OutgoingMessage:
    """Return a message whose value is its number."""
    return OutgoingMessage("topic", b"key", b"%d" % number)


class Client:
    """A client with room for so many messages; `poll` delivers those that may be delivered."""

    def __init__(self, room: int = 1000) -> None:
        self.values: list[bytes] = []
        self.errors: dict[bytes, Any] = {}  # what a delivery says, or `produce` raises
        self.deliver = threading.Event()
        self._room = room
        self._queue: deque[tuple[bytes, Callable[[Any, Any], None]]] = deque()

    def produce(self, _: str, *, value: bytes, on_delivery: Callable[..., None], **__: Any) -> None:
        """Take a message, or raise as the real one does."""
        if len(self._queue) >= self._room:
            raise BufferError
        if isinstance(error := self.errors.get(value), Exception):
            raise error
        self.values.append(value)
        self._queue.append((value, on_delivery))

    def poll(self, timeout_s: float) -> int:
        """Deliver what is queued."""
        if self.deliver.wait(timeout_s):
            time.sleep(0.001)
            while self._queue:
                value, on_delivery = self._queue.popleft()
                on_delivery(self.errors.get(value), None)
        return 0

    def purge(self) -> None:
        """Deliver all from now on."""
        self.deliver.set()

    def flush(self, timeout_s: float) -> int:
        """Do as `poll`, if it may."""
        return self.poll(min(timeout_s, 0.01))


@contextmanager
def producer_over(client: Client) -> Iterator[Producer]:
    """Give a producer over a client of ours."""
    with Producer(NOWHERE) as producer:
        producer._producer = client
        yield producer


@pytest.fixture
async def gaps() -> AsyncIterator[list[float]]:
    """Give the pauses of the event loop, each turn's in seconds."""
    found: list[float] = []

    async def watch() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            found.append((now := time.monotonic()) - before)
            before = now

    watching = asyncio.create_task(watch())
    yield found
    watching.cancel()


async def test_a_sender_that_stops_waiting_takes_nothing_from_the_delivery() -> None:
    """What is sent cannot be unsent: a cancelled future would end the thread of all deliveries."""
    with Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}) as producer:
        sent = producer.submit(OutgoingMessage("topic", b"key", b"value"))
        waiting = asyncio.wrap_future(sent)
        waiting.cancel()
        await asyncio.sleep(0)  # wrapping hands the cancellation on in the loop's next turn
        assert not sent.cancelled()
        producer._producer.purge()
        assert producer._producer.flush(10) == 0
        assert sent.exception(10) is not None
        assert producer._thread.is_alive()


async def test_a_full_local_queue_does_not_stop_the_event_loop(gaps: list[float]) -> None:
    """The real client, its broker away: the sender waits for room, everyone else goes on."""
    with Producer(NOWHERE | {"queue.buffering.max.messages": 5}) as producer:
        sending = asyncio.create_task(producer.send_each([outgoing(n) for n in range(8)]))
        await asyncio.sleep(0.5)
        assert not sending.done()
        assert len(gaps) > 10
        assert max(gaps) < 0.4
        while not sending.done():
            producer._producer.purge()
            await asyncio.sleep(0.02)
        assert all(error is not None for error in await sending)


async def test_messages_of_one_send_keep_their_order_when_there_is_no_room() -> None:
    """Each waits for room before the next one is looked at."""
    client = Client(room=3)
    client.deliver.set()
    with producer_over(client) as producer:
        await asyncio.wait_for(producer.send(outgoing(n) for n in range(40)), 20)
    assert client.values == [b"%d" % n for n in range(40)]


async def test_a_send_wakes_the_event_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many messages it has: it is on the way of every answer and record."""
    loop, wakes = asyncio.get_running_loop(), 0
    call_soon_threadsafe = loop.call_soon_threadsafe

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal wakes
        wakes += 1
        return call_soon_threadsafe(*args, **options)

    client = Client()
    with producer_over(client) as producer:
        monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
        sending = asyncio.create_task(producer.send(outgoing(n) for n in range(100)))
        await asyncio.sleep(0.01)
        client.deliver.set()
        await asyncio.wait_for(sending, 10)
        await asyncio.wait_for(producer.send([]), 10)
    assert wakes == 1


async def test_each_message_has_its_own_result() -> None:
    """Refused for good, by the broker or by the client, or for now: the others are delivered."""
    client = Client()
    client.deliver.set()
    client.errors = {
        b"1": KafkaError(KafkaError.MSG_SIZE_TOO_LARGE),
        b"2": KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)),
        b"3": KafkaError(KafkaError.INVALID_TIMESTAMP),
        b"4": TypeError("a header of no known type"),
        b"5": KafkaError(KafkaError._MSG_TIMED_OUT),
    }
    with producer_over(client) as producer:
        errors = await producer.send_each([outgoing(n) for n in range(7)])
        assert [error and (error.too_large, error.refused) for error in errors] == [
            None, (True, True), (True, True), (False, True), (False, True), (False, False), None,
        ]  # fmt: skip
        with pytest.raises(SendError) as raised:
            await producer.send([outgoing(0), outgoing(5), outgoing(1)])
        assert not raised.value.refused
        assert producer.failure is None


async def test_a_client_that_is_lost_is_a_reason_to_restart() -> None:
    """After a fatal error every send fails: sending again would hide it forever."""
    client = Client()
    client.deliver.set()
    client.errors = {b"0": KafkaException(KafkaError(KafkaError._FATAL))}
    with producer_over(client) as producer:
        (error,) = await producer.send_each([outgoing(0)])
        assert error is not None
        assert not error.refused
        assert producer.failure is not None


async def test_an_error_in_a_delivery_ends_no_other_and_is_a_reason_to_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that ended with it told nobody any more."""
    client = Client()
    client.deliver.set()
    polls = iter([MemoryError()])

    def poll(timeout_s: float) -> int:
        if (error := next(polls, None)) is not None:
            raise error
        return Client.poll(client, timeout_s)

    monkeypatch.setattr(client, "poll", poll)
    with producer_over(client) as producer:
        assert await asyncio.wait_for(producer.send_each([outgoing(0)]), 20) == [None]
        assert "MemoryError" in (producer.failure or "")


async def test_closing_tells_everyone_who_waits() -> None:
    """What is not delivered by then fails, and what comes later is not taken."""
    with Producer(NOWHERE) as producer:
        submitted = producer.submit(outgoing(0))
        sending = asyncio.create_task(producer.send([outgoing(1)]))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(producer.close, 0.1)
        assert isinstance(submitted.exception(5), SendError)
        with pytest.raises(SendError):
            await asyncio.wait_for(sending, 5)
        with pytest.raises(SendError):
            await asyncio.wait_for(producer.send([outgoing(2)]), 5)


async def test_an_error_in_a_delivery_at_the_close_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others are told, and the thread ends."""
    client = Client()
    flushes = iter([MemoryError()])

    def flush(timeout_s: float) -> int:
        if (error := next(flushes, None)) is not None:
            raise error
        return Client.flush(client, timeout_s)

    monkeypatch.setattr(client, "flush", flush)
    with producer_over(client) as producer:
        submitted = producer.submit(outgoing(0))
        with pytest.raises(MemoryError):
            await asyncio.to_thread(producer.close, 0.1)
        assert submitted.done()
        assert not producer._thread.is_alive()
