"""What is tried again, how often, and with which pauses."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.retry_forever import is_transient, retry_forever, retry_three_times
from visualsearch.client.producer import SendError

AWAY = SendError("the broker is away", too_large=False)


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Return a call that raises these, one each time, and then returns."""
    left = list(errors)

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "written"

    return call


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AWAY, True),
        (SendError("too large", too_large=True), False),
        (SendError("a timestamp", too_large=False, refused=True), False),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), True),
        (KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)), True),
        (KafkaException(KafkaError(KafkaError._INVALID_ARG)), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (OSError("no space left"), False),
        (RuntimeError("a defect"), False),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_only_kafka_and_the_way_to_it_may_pass(error: Exception, *, passes: bool) -> None:
    """A defect that is tried forever hides, and stops its partition."""
    assert is_transient(error) is passes


async def test_what_may_pass_is_tried_for_ever_with_growing_pauses() -> None:
    """They stop growing: a broker that is back is not kept waiting."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    call = failing(*[AWAY] * 8)
    assert await retry_forever(call, what="a test", sleep=sleep) == "written"
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


async def test_anything_else_is_raised_at_once() -> None:
    """Also after errors that passed."""
    with pytest.raises(RuntimeError, match="a defect"):
        await retry_forever(failing(RuntimeError("a defect")), what="a test")
    call = failing(AWAY, RuntimeError("a defect"))
    with pytest.raises(RuntimeError, match="a defect"):
        await retry_forever(call, what="a test", sleep=lambda _: asyncio.sleep(0))


async def test_cancellation_ends_it() -> None:
    """In a pause and in the call itself."""
    for call in (failing(*[AWAY] * 9), asyncio.Event().wait):
        trying = asyncio.create_task(retry_forever(call, what="a test"))
        await asyncio.sleep(0.05)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying


async def test_three_tries_are_three() -> None:
    """The third one's result or error is the caller's."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    twice = failing(RuntimeError("1"), RuntimeError("2"))
    assert await retry_three_times(twice, what="a test", sleep=sleep) == "written"
    thrice = failing(RuntimeError("1"), RuntimeError("2"), RuntimeError("3"))
    with pytest.raises(RuntimeError, match="3"):
        await retry_three_times(thrice, what="a test", sleep=sleep)
    assert pauses == [0.5, 1.0, 0.5, 1.0]
