"""The memory budget of decodes: never overdrawn, never stuck, whoever gives up waiting."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.compute import Priority
from streams.memory_budget import MemoryBudget

TOTAL, FOR_QUERIES = 10, 3
JOBS = st.lists(
    st.tuples(st.sampled_from(Priority), st.integers(0, 14), st.integers(0, 3), st.booleans()),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(JOBS)
def test_all_are_served_and_the_budget_is_kept(
    jobs: list[tuple[Priority, int, int, bool]],
) -> None:
    """What is larger than the budget goes alone; a reservation given up leaves nothing behind."""
    used: dict[int, int] = {}
    told: list[int] = []

    async def job(number: int, priority: Priority, size: int, turns: int) -> None:
        reserved = await budget.reserve(priority, size)
        used[number] = size
        assert sum(used.values()) <= TOTAL or len([n for n in used.values() if n]) == 1
        for _ in range(turns):
            await asyncio.sleep(0)
        del used[number]
        reserved.release()
        reserved.release()  # a second time gives nothing back

    async def run() -> None:
        tasks = []
        for number, (priority, size, turns, gives_up) in enumerate(jobs):
            tasks.append(asyncio.create_task(job(number, priority, size, turns)))
            if gives_up:
                await asyncio.sleep(0)
                if number not in used:
                    tasks.pop().cancel()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)

    budget = MemoryBudget(TOTAL, for_queries=FOR_QUERIES, changed=told.append)
    asyncio.run(run())
    assert not jobs or told[-1] == 0


def test_queries_go_first_and_no_large_one_is_overtaken_for_ever() -> None:
    """Indexing leaves the queries' part alone; among equals the first to come goes first."""

    async def run() -> list[str]:
        budget, order = MemoryBudget(TOTAL, for_queries=FOR_QUERIES), []

        async def take(name: str, priority: Priority, size: int) -> None:
            reserved = await budget.reserve(priority, size)
            order.append(name)
            await asyncio.sleep(0)
            reserved.release()

        first = await budget.reserve(Priority.INDEX, 6)
        waiting = [
            asyncio.create_task(take(*job))
            for job in (
                ("large", Priority.INDEX, 7),
                ("small", Priority.INDEX, 1),
                ("query", Priority.QUERY, 4),
                ("large query", Priority.QUERY, 9),
            )
        ]
        await asyncio.sleep(0)
        assert order == ["query"]
        first.release()
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(run()) == ["query", "large query", "large", "small"]
