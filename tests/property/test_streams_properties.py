"""Laws of the path's small parts: acknowledgement in order, one order, the same state."""

import random
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from streams.indexer.records import to_engine_record
from streams.indexer.watermark import Watermark
from streams.kafka.in_order import OrderedAcks
from tests.support.fakes import DIM
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    OfferLogRecord,
    VectorsLogRecord,
)
from visualsearch.engine import Engine


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_acknowledgements_come_in_order_of_arrival_and_never_early(
    partitions: list[int], rng: random.Random
) -> None:
    """Whatever finishes first: per partition a prefix is done, all of it finished."""
    in_order, done = OrderedAcks(), dict.fromkeys(range(3), 0)
    done_by: dict[int, list[int]] = {p: [] for p in range(3)}
    finishers = []
    for number, partition in enumerate(partitions):
        call = in_order.add(("t", partition), lambda p=partition, n=number: done_by[p].append(n))
        finishers.append((number, partition, call))
    rng.shuffle(finishers)
    finished: set[int] = set()
    for number, _, call in finishers:
        finished.add(number)
        call()
        for partition in done:
            arrived = [n for n, p in enumerate(partitions) if p == partition]
            acked = done_by[partition]
            assert acked == arrived[: len(acked)]
            assert set(acked) <= finished
            following = arrived[len(acked) : len(acked) + 1]
            assert not finished & set(following)  # nor later than need be
    assert sum(map(len, done_by.values())) == len(partitions)


orders = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


@st.composite
def records(draw: st.DrawFn) -> list[IndexRecord]:
    """Return records of one product, no two of one kind with the same order."""
    some = st.lists(orders, unique=True, max_size=3)
    gone = st.booleans()
    return [
        *(BaseLogRecord(order=order, deleted=draw(gone), title=str(order)) for order in draw(some)),
        *(
            OfferLogRecord(order=order, deleted=draw(gone), price=float(order[0]))
            for order in draw(some)
        ),
        *(VectorsLogRecord(order=order, deleted=True) for order in draw(some)),
    ]


@given(records(), st.randoms(use_true_random=False))
def test_the_same_records_in_any_order_give_the_same_state(
    given_records: list[IndexRecord], rng: random.Random
) -> None:
    """Late, duplicated, replayed: only the newest of each kind counts."""
    shuffled = given_records * 2
    rng.shuffle(shuffled)
    states = []
    for sequence in (given_records, shuffled):
        engine = Engine("fake", DIM)
        engine.apply([to_engine_record("p", record) for record in sequence])
        states.append(engine.product("p"))
    assert states[0] == states[1]


@given(st.lists(orders, min_size=2, max_size=3, unique=True))
def test_the_order_is_total(found: list[tuple[int, int, int]]) -> None:
    """Sorting is the same from every start."""
    assert len({tuple(sorted(each)) for each in permutations(found)}) == 1


times = st.floats(0, 1e9, allow_nan=False)


@given(st.lists(st.tuples(st.integers(0, 2), times), max_size=20))
def test_the_watermark_is_that_of_the_slowest_partition(applied: list[tuple[int, float]]) -> None:
    """None until each partition was read; then the least of their newest times."""
    watermark = Watermark(3)
    newest: dict[int, float] = {}
    for partition, time_s in applied:
        watermark.advance(partition, time_s)
        newest[partition] = max(time_s, newest.get(partition, 0.0))
    assert watermark.time_s == (min(newest.values()) if len(newest) == 3 else None)


def test_a_partition_at_its_end_follows_the_clock_until_a_record_comes() -> None:
    """A quiet topic is not an old one."""
    watermark = Watermark(2)
    watermark.advance(0, 5.0)
    watermark.mark_end(1)
    watermark.tick(100.0)
    assert watermark.time_s == 5.0
    watermark.mark_end(0)
    watermark.tick(101.0)
    assert watermark.time_s == 101.0
    watermark.advance(1, 50.0)  # an old record: what was true at 101 stays true
    watermark.tick(200.0)
    assert watermark.time_s == 101.0
