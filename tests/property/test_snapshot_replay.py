"""A snapshot taken while the log is applied, and a worker that reads on from it: as one that lived.

Its index is that of the worker that lived on, and so are its dirty keys: what overtook what before
the offsets is healed by whoever comes after.
"""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.snapshots.source import Source, read_source
from streams.snapshots.take import Keep, Taking
from tests.property.test_prefix_replay import MODES, state
from tests.support.log_catalogue import PRODUCTS
from tests.support.log_history import History
from tests.support.log_replica import (
    DIM,
    METRICS,
    MODEL,
    PARTITIONS,
    SMALL,
    TOPIC,
    Log,
    LogConsumer,
    take,
)
from tests.support.snapshot_parts import HERE, START_S
from visualsearch.client.tail import Position
from visualsearch.contracts.records import Order
from visualsearch.engine import Engine
from visualsearch.snapshot.manifest import read_manifest
from visualsearch.snapshot.read import restore

STEPS = 200
Lived = tuple[dict[str, Any], dict[bytes, Order]]


class Life:
    """A worker's reader on a log, from where its snapshot ends."""

    def __init__(self, log: Log, engine: Engine, source: Source | None = None) -> None:
        self.engine = engine
        self.consumer = LogConsumer(log)
        self.ledger = Ledger(1.0, lambda: 0.0)
        starts: dict[int, Position] = {}
        if source is not None:
            starts = dict(enumerate(source.positions))
            self.consumer._positions = [at.offset for at in source.positions]
            self.ledger.restore((d.raw_key, d.partition, d.order) for d in source.dirty)
        self.reader = LogReader(
            {}, TOPIC, engine, self.ledger, METRICS, lambda: 0.0, partitions=PARTITIONS,
            starts=starts,
        )  # fmt: skip

    def read(self, rng: random.Random) -> None:
        """Apply some records of a partition."""
        self.consumer.fetch(rng.randrange(PARTITIONS), rng.randint(1, 8))
        take(self.reader, self.consumer)

    def lived(self, rng: random.Random) -> Lived:
        """Read to the ends; return what the index holds, and the newest orders of dirty keys."""
        while not self.reader.caught_up.is_set():
            self.read(rng)
        return state(self.engine), {k: dirty.order for k, dirty in self.ledger.dirty().items()}


def snapshot(life: Life, folder: Path, rng: random.Random) -> Path:
    """Take a snapshot while records go on being applied."""
    taking = Taking(life.engine, life.reader, life.ledger, HERE, folder, None, Keep(1, None),
                    METRICS, lambda: START_S)  # fmt: skip

    def meanwhile(*_: object) -> None:
        if rng.random() < 0.5:
            life.read(rng)

    return taking.take(meanwhile).path


def survivor_and_successor(
    seed: int, folder: Path, *, skip: int = 0, forget: bool = False
) -> tuple[Lived, Lived]:
    """Return how one ends that lived on, and one that began from its snapshot.

    `skip` and `forget` are what would be wrong: offsets too far, and no dirty keys.
    """
    rng = random.Random(seed)
    history = History(rng, rng.choice(MODES), heals=False)
    history.run(STEPS)
    life = Life(history.log, Engine(MODEL, DIM, layout=SMALL))
    for _ in range(rng.randint(1, 40)):
        life.read(rng)
    path = snapshot(life, folder, rng)
    source = read_source(read_manifest(path).source)
    further = tuple(Position(at.offset + skip) for at in source.positions)
    source = Source(source.log, further, () if forget else source.dirty)
    engine = restore(path, model=MODEL, dim=DIM, layout=SMALL).engine
    return life.lived(rng), Life(history.log, engine, source).lived(rng)


def check_successor(seed: int) -> None:
    """Check that index and dirty keys are the same for both."""
    with tempfile.TemporaryDirectory() as folder:
        lived, began = survivor_and_successor(seed, Path(folder))
    assert began == lived


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_who_begins_from_a_snapshot_ends_as_who_lived_on(seed: int) -> None:
    """Whatever was applied while it was taken, and however late or doubled the records came."""
    check_successor(seed)


@pytest.mark.parametrize("wrong", [{"skip": 1}, {"forget": True}])
def test_what_is_wrong_with_a_source_shows(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """An offset too far, or dirty keys that were left behind: or the test above shows nothing."""
    ends = [survivor_and_successor(seed, tmp_path / str(seed), **wrong) for seed in range(12)]
    assert any(lived != began for lived, began in ends)


def test_products_are_there_to_be_compared(tmp_path: Path) -> None:
    """Histories that leave nothing would agree on it."""
    (products, dirty), _ = survivor_and_successor(1, tmp_path)
    assert len(products) == len(PRODUCTS)
    assert any(known is not None for known, _ in products.values())
    assert any(survivor_and_successor(seed, tmp_path / str(seed))[0][1] for seed in range(5)), dirty
