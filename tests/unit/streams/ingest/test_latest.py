"""The latest order of a product: what counts as written, and what is superseded by it."""

import asyncio

import pytest

from streams.ingest.dead_letters import Fault
from streams.ingest.latest import LatestOrder
from streams.ingest.outcome import EventOutcome, read_event
from streams.ingest.retry import FIRST, Retry
from tests.support.lane_events import message
from tests.support.waiting import until
from visualsearch.contracts.records import VectorsLogRecord

FAULT = Fault("fetch", "image_http_404", "absent")
RETRY = Retry(FIRST, 10.0, "image_timeout", "slow")


def outcome(version: int, product_id: str = "p") -> EventOutcome:
    """Return one with a record, a fault and a next attempt."""
    event = read_event(message(version, "product-created", product_id), "explicit")
    entry = (product_id, VectorsLogRecord(order=event.order), event)
    return EventOutcome("retried", event.type, records=[entry], faults=[FAULT], retry=RETRY)


async def written(latest: LatestOrder, given: EventOutcome) -> EventOutcome:
    """Write an outcome; return what is left of it."""
    async with latest.turn(given) as current:
        return current


async def test_an_older_record_is_superseded_and_its_faults_are_kept() -> None:
    """A dead letter is due all the same; the next attempt would be of an old event."""
    latest, newer = LatestOrder(), outcome(2)
    assert await written(latest, newer) is newer
    left = await written(latest, outcome(1))
    assert (left.label, left.type, left.records, left.retry) == (
        "superseded", "product-created", [], None)  # fmt: skip
    assert left.faults == [FAULT]
    again = outcome(2)  # the same event from `product-retry`
    assert await written(latest, again) is again
    other = outcome(1, "q")
    assert await written(latest, other) is other


async def test_what_could_not_be_written_supersedes_nothing() -> None:
    """An older record is then the newest there is."""
    latest = LatestOrder()
    with pytest.raises(RuntimeError):
        async with latest.turn(outcome(2)):
            raise RuntimeError("a defect")
    older = outcome(1)
    assert await written(latest, older) is older


async def test_an_outcome_without_a_record_supersedes_nothing() -> None:
    """The images of a newer event that cannot be had leave those of an older one searchable."""
    latest = LatestOrder()
    given = outcome(2)
    given.records = []
    assert await written(latest, given) is given
    older = outcome(1)
    assert await written(latest, older) is older


async def test_records_of_one_product_are_written_one_at_a_time() -> None:
    """The older one waits for the write of the newer one to end; another product does not."""
    latest, gate, done = LatestOrder(), asyncio.Event(), []

    async def newer() -> None:
        async with latest.turn(outcome(2)):
            await gate.wait()
            done.append("newer")

    async def older() -> None:
        done.append((await written(latest, outcome(1))).label)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(newer())
        await asyncio.sleep(0)
        tasks.create_task(older())
        assert (await written(latest, outcome(1, "q"))).label == "retried"
        await asyncio.sleep(0.01)
        assert done == []
        gate.set()
        await until(lambda: len(done) == 2)
    assert done == ["newer", "superseded"]
