"""The compute executor: order of urgency, errors, cancellation."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from streams.model.priority_pool import Priority, PriorityPool


@pytest.fixture
async def compute() -> AsyncIterator[PriorityPool]:
    """Give an executor."""
    compute = PriorityPool()
    yield compute
    compute.close()


async def _hold(compute: PriorityPool) -> tuple[threading.Event, "asyncio.Task[bool]"]:
    """Occupy the thread; return what lets it go."""
    gate, begun = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return gate.wait(5)

    task = asyncio.create_task(compute.run(Priority.INDEX, wait))
    await asyncio.to_thread(begun.wait, 5)
    return gate, task


async def test_queries_go_before_indexing_and_equals_in_order(compute: PriorityPool) -> None:
    """What waits is sorted; what runs is not interrupted."""
    gate, held = await _hold(compute)
    ran: list[str] = []
    jobs = [("i1", Priority.INDEX), ("q1", Priority.QUERY), ("i2", Priority.INDEX),
            ("q2", Priority.QUERY)]  # fmt: skip
    tasks = []
    for name, priority in jobs:
        tasks.append(asyncio.create_task(compute.run(priority, lambda n=name: ran.append(n))))
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, *tasks)
    assert ran == ["q1", "q2", "i1", "i2"]


async def test_an_exception_is_the_callers(compute: PriorityPool) -> None:
    """And the thread goes on."""
    with pytest.raises(ZeroDivisionError):
        await compute.run(Priority.QUERY, lambda: 1 // 0)
    assert await compute.run(Priority.QUERY, lambda: 7) == 7


async def test_a_panic_of_native_code_is_the_callers_as_well(compute: PriorityPool) -> None:
    """It is no Exception; with the thread every later call would hang."""

    class Panic(BaseException):
        pass

    def panic() -> None:
        raise Panic("index out of bounds")

    with pytest.raises(RuntimeError, match="index out of bounds"):
        await asyncio.wait_for(compute.run(Priority.QUERY, panic), 20)
    assert await asyncio.wait_for(compute.run(Priority.QUERY, lambda: 7), 20) == 7


async def test_a_call_that_nobody_waits_for_is_not_made(compute: PriorityPool) -> None:
    """A deadline that passed in the queue costs no model call."""
    gate, held = await _hold(compute)
    ran: list[int] = []
    task = asyncio.create_task(compute.run(Priority.QUERY, lambda: ran.append(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gate.set()
    await held
    await compute.run(Priority.INDEX, lambda: None)
    assert ran == []


async def test_cancelling_a_call_under_way_harms_nothing(compute: PriorityPool) -> None:
    """Its result is dropped."""
    gate, held = await _hold(compute)
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    gate.set()
    assert await compute.run(Priority.QUERY, lambda: "next") == "next"


async def test_a_stopped_executor_refuses() -> None:
    """Instead of letting its caller wait forever."""
    compute = PriorityPool()
    compute.close()
    with pytest.raises(RuntimeError, match="stopped"):
        await compute.run(Priority.QUERY, lambda: 1)
