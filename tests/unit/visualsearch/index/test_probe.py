"""The live recall probe: what it samples, what it compares, and that it is told of."""

import threading

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.strategies import clustered
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.find import Finder
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.probe import MOST_WAITING, Probe, Probed
from visualsearch.index.view import View
from visualsearch.types import BaseRecord, Filters, FloatArray, ImageVector, Query, VectorsRecord

DIM, COUNT = 16, 120
V = clustered(COUNT + 10, DIM, clusters=4, seed=8)
QUERY = Query(V[0], top_k=10)


def engine_of(told: list[Probed], share: float = 1.0) -> Engine:
    """Return an engine that walks its graph and has nothing left to do."""
    engine = Engine(
        "m",
        DIM,
        tuning=Tuning(exact_rows=0),
        costs=Costs(row=1e6, entry=0.0, candidate=1e-6),
        layout=Layout(segment_rows=500, threads=1, probe_share=share),
        hooks=Hooks(on_recall=told.append),
    )
    for n in range(COUNT):
        put(engine, f"p{n}", V[n])
    drain(engine)
    return engine


def put(engine: Engine, name: str, vector: FloatArray, time: int = 1) -> None:
    """Upsert a product with one image."""
    order = (time, 0, 0)
    picture = VectorsRecord(name, order, model="m", images=(ImageVector("i", vector),))
    engine.apply([BaseRecord(name, order, category="shoes"), picture])


def losing(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let every walk lose the best rows that it has found."""
    real = Finder.walk

    def walk(self: Finder, view: View, *args: object) -> object:
        (rows, scores), near = real(self, view, *args)
        kept = np.sort(np.argsort(-scores)[count:])
        return (rows[kept], scores[kept]), near

    monkeypatch.setattr(Finder, "walk", walk)


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_the_recall_of_an_answer_is_told(monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    """The share of the exact answer that it had."""
    told: list[Probed] = []
    engine = engine_of(told)
    losing(monkeypatch, lost)
    assert engine.search(QUERY).plan.strategy == "graph"
    assert told == []
    assert engine.index_pending() == 1
    assert told == [Probed(10, pytest.approx(1.0 - lost / 10))]
    assert engine.index_pending() == 0


@pytest.mark.parametrize("change", ["goes", "comes", "moves", "nothing is left"])
def test_what_changed_since_counts_neither_way(change: str) -> None:
    """The answer was right about the products that there were."""
    told: list[Probed] = []
    engine = engine_of(told)
    hits = engine.search(QUERY).hits
    match change:
        case "goes":
            for hit in hits[2:5]:
                engine.apply([BaseRecord(hit.product_id, (2, 0, 0), deleted=True)])
        case "comes":
            put(engine, "new", V[0])
        case "moves":
            put(engine, hits[1].product_id, -V[0], time=2)
        case _:
            for n in range(COUNT):
                engine.apply([BaseRecord(f"p{n}", (2, 0, 0), deleted=True)])
    drain(engine)
    assert told == ([] if change == "nothing is left" else [Probed(10, 1.0)])


def test_only_approximate_answers_are_sampled_and_only_their_share() -> None:
    """A scan needs no check, and none is checked when no share is wanted."""
    told: list[Probed] = []
    engine = engine_of(told)
    engine.search(Query(V[0], top_k=10, recall_target=1.0))
    engine.search(Query(V[0], Filters(category=("none",))))
    drain(engine)
    assert told == []
    engine = engine_of(told, share=0.0)
    engine.search(QUERY)
    drain(engine)
    assert told == []


def test_no_more_wait_than_can_be_answered() -> None:
    """An exact answer costs many times the query: the rest is left unsampled."""
    draws = iter([0.0, 0.5, *[0.0] * 50])
    probe = Probe(0.1, draw=lambda: next(draws))
    slots = np.arange(3)
    offered = [probe.offer(QUERY, V[0], 1, slots) for _ in range(40)]
    assert offered[:2] == [True, False]
    assert len(probe._waiting) == MOST_WAITING
    assert not probe.offer(QUERY, V[0], 1, slots[:0])


def test_no_more_time_is_spent_than_was_granted() -> None:
    """What took a second at a fiftieth of a core is followed by nearly a minute without."""
    engine = engine_of([], share=0.0)
    time = iter([0.0, 10.0, 11.0, 11.0, 60.9, 61.0])
    probe = Probe(1.0, 0.02, draw=lambda: 0.0, now=lambda: next(time))
    slots = np.arange(3)
    assert probe.offer(QUERY, V[0], 1, slots)
    probe.answer(engine._index, engine._finder, engine._probed, lambda _: None)
    assert not probe.offer(QUERY, V[0], 1, slots)
    assert probe.offer(QUERY, V[0], 1, slots)


def test_an_index_at_rest_is_probed_too() -> None:
    """Nothing is applied: the search itself wakes the writer."""
    told: list[Probed] = []
    engine = engine_of(told)
    done = threading.Event()
    engine._hooks = Hooks(on_recall=lambda probed: (told.append(probed), done.set()))
    engine.start()
    engine.search(QUERY)
    assert done.wait(60)
    engine.close()
    assert told == [Probed(10, 1.0)]
