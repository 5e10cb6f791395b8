"""The memory budget of decodes: never overdrawn, never stuck, whoever gives up waiting."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.memory_budget import MemoryBudget
from streams.model.priority_pool import Priority

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
    indexing: dict[int, int] = {}
    told: list[int] = []

    async def job(number: int, priority: Priority, size: int, turns: int) -> None:
        reserved = await budget.reserve(priority, size)
        used[number] = size
        if priority is Priority.INDEX:
            indexing[number] = size
        kept = sum(indexing.values()) <= TOTAL - FOR_QUERIES
        assert kept or len([n for n in indexing.values() if n]) == 1
        assert sum(used.values()) <= TOTAL or len([n for n in used.values() if n]) == 1
        for _ in range(turns):
            await asyncio.sleep(0)
        del used[number]
        indexing.pop(number, None)
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


COMERS = st.lists(st.tuples(st.integers(1, TOTAL + 2), st.integers(1, 4)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(Priority), COMERS, COMERS)
def test_nobody_starves_though_others_keep_coming(
    patient: Priority, waiting: list[tuple[int, int]], coming: list[tuple[int, int]]
) -> None:
    """Each comer of the other class is back with its next image before the last is released."""
    other = Priority.INDEX if patient is Priority.QUERY else Priority.QUERY
    turns = 0

    async def use(priority: Priority, size: int, length: int) -> None:
        reserved = await budget.reserve(priority, size)
        for _ in range(length):
            await asyncio.sleep(0)
        reserved.release()

    async def keep_coming(size: int, length: int) -> None:
        nonlocal turns
        again: set[asyncio.Task[None]] = set()
        while True:  # overlapping: the next one asks while this one decodes
            again = {task for task in again if not task.done()}
            if len(again) < 3:
                again.add(asyncio.create_task(use(other, size, length)))
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        comers = [asyncio.create_task(keep_coming(*each)) for each in coming]
        for _ in range(5):
            await asyncio.sleep(0)
        started = turns
        served = asyncio.gather(*(use(patient, *each) for each in waiting))
        while not served.done() and turns - started < 400 * len(coming):  # noqa: ASYNC110 - turns
            await asyncio.sleep(0)
        assert served.done(), "starved"
        for comer in comers:
            comer.cancel()
        await asyncio.gather(*comers, return_exceptions=True)

    budget = MemoryBudget(TOTAL, for_queries=FOR_QUERIES)
    asyncio.run(run())


def test_queries_that_overlap_take_nothing_of_indexing() -> None:
    """Its limit is of its own use; a query's image fits beside the largest that it may have."""

    async def run() -> None:
        budget = MemoryBudget(TOTAL, for_queries=FOR_QUERIES)
        query = await budget.reserve(Priority.QUERY, FOR_QUERIES)
        large = await asyncio.wait_for(budget.reserve(Priority.INDEX, TOTAL - FOR_QUERIES), 1)
        query.release()
        (await asyncio.wait_for(budget.reserve(Priority.QUERY, FOR_QUERIES), 1)).release()
        large.release()

    asyncio.run(run())


def test_a_large_image_of_the_catalog_waits_for_the_queries_before_it_only() -> None:
    """Later ones get what it leaves meanwhile, and go before the next of the catalog."""

    async def run() -> list[str]:
        budget, order = MemoryBudget(TOTAL, for_queries=FOR_QUERIES), []

        async def take(name: str, priority: Priority, size: int) -> None:
            reserved = await budget.reserve(priority, size)
            order.append(name)
            await asyncio.sleep(0)
            reserved.release()

        running = await budget.reserve(Priority.QUERY, 8)
        jobs = (
            ("before", Priority.QUERY, 3),
            ("large", Priority.INDEX, 7),
            ("next", Priority.INDEX, 7),
            ("small", Priority.QUERY, 1),
            ("after", Priority.QUERY, 9),
        )
        waiting = [asyncio.create_task(take(*job)) for job in jobs]
        await asyncio.sleep(0)
        assert order == []
        running.release()
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(run()) == ["before", "large", "small", "after", "next"]
