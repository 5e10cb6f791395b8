"""Verifying: what is damaged is refused, what is whole is measured against exact answers."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.snapshots import FLAT, V, engine_of, records, written
from visualsearch.engine import Engine
from visualsearch.index.lists import Piece
from visualsearch.index.planner import Costs, Tuning
from visualsearch.snapshot import read
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.verify import verify
from visualsearch.types import Query


@pytest.fixture(autouse=True)
def by_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go by the lists however few rows there are."""

    class Listed(Engine):
        def __init__(self, model: str, dim: int) -> None:
            super().__init__(model, dim, tuning=Tuning(exact_rows=0), costs=Costs(row=1e6))

    monkeypatch.setattr(read, "Engine", Listed)


def test_a_whole_one_finds_nearly_everything(tmp_path: Path) -> None:
    """And the report says how it was found, and in what time."""
    seen: list[int] = []
    report = verify(
        written(engine_of(), tmp_path), queries=20, progress=lambda _, done, __: seen.append(done)
    )
    assert report.queries == 20 == seen[-1]
    assert set(report.recall) == {10, 100}
    assert min(report.recall.values()) >= 0.95
    assert report.milliseconds > 0
    assert report.strategy == "ivfpq"
    assert report.manifest.index == "ivfpq"


def test_codes_that_find_nothing_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail is none: candidates of chance give a recall of chance."""
    real = Piece.search
    rng = np.random.default_rng(0)

    def lost(self: Piece, *args: object, **options: object) -> object:
        rows, scores = real(self, *args, **options)  # type: ignore[arg-type]
        kept = rng.random(len(rows)) < 0.5
        return rows[kept], scores[kept]

    path = written(engine_of(), tmp_path)
    monkeypatch.setattr(Piece, "search", lost)
    report = verify(path, queries=20)
    assert report.strategy == "ivfpq"
    assert report.recall[10] < 0.9


def test_a_flat_one_and_an_empty_one(tmp_path: Path) -> None:
    """Scans find everything, and nothing where nothing is."""
    flat = verify(written(engine_of(layout=FLAT), tmp_path / "flat"), queries=10)
    assert flat.strategy == "exact"  # by any price: there is nothing else
    assert flat.recall == {10: 1.0, 100: 1.0}
    empty = verify(written(engine_of([]), tmp_path / "empty"))
    assert (empty.strategy, empty.queries, empty.recall) == ("empty", 0, {})


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    """Before anything is searched."""
    path = written(engine_of(), tmp_path)
    (path / "vectors.i16").write_bytes(b"")
    with pytest.raises(SnapshotError):
        verify(path)


def test_serving_says_what_answers() -> None:
    """From nothing to a scan."""
    engine = engine_of([])
    assert engine.active_strategy == "empty"
    engine.apply(records())
    assert engine.active_strategy == "exact" == engine.search(Query(V[0])).plan.strategy
