"""The engine against its exact twin: any course of records, index steps and searches."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests import strategies as world
from visualsearch.engine import Engine, Layout
from visualsearch.index.exact import ExactIndex
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.state import satisfies
from visualsearch.types import Answer, Query, Record

GRAPHS_ALWAYS = Costs(row_cached=1e6, row=1e6, segment=0.0, candidate=1e-6)
RECALL_FLOOR = 0.97
TIE = 1e-6


def tiny_engine(*, graphs: bool) -> Engine:
    """Return an engine whose chunks and graphs overflow after a few records.

    With a surplus below 1 the first beam is often too narrow, so that walks are widened.
    """
    return Engine(
        world.MODEL,
        world.DIM,
        tuning=Tuning(graph_threshold=0 if graphs else 10_000, ef_min=8, surplus=0.3),
        costs=GRAPHS_ALWAYS if graphs else Costs(),
        layout=Layout(chunk_rows=8, segment_rows=16),
    )


def check_against(twin: ExactIndex, query: Query, answer: Answer) -> tuple[int, int]:
    """Assert what holds for every answer; return (hits as good as the twin's, hits wanted).

    Recall is counted by the score of the twin's last hit, so that ties cost nothing.
    """
    everything = twin.search(Query(query.vector, query.filters, top_k=1000))
    truth = {hit.product_id: hit for hit in everything.hits}
    assert answer.plan.matches == len(truth)
    assert len(answer.hits) == min(query.top_k, len(truth))
    assert len({hit.product_id for hit in answer.hits}) == len(answer.hits)
    for hit in answer.hits:
        assert abs(hit.score - truth[hit.product_id].score) < TIE
        state = twin.product(hit.product_id)
        assert state is not None
        assert satisfies(state, query.filters)
        assert (hit.title, hit.category, hit.price, hit.in_stock) == (
            truth[hit.product_id].title,
            truth[hit.product_id].category,
            truth[hit.product_id].price,
            truth[hit.product_id].in_stock,
        )
    ranking = [(-hit.score, hit.product_id) for hit in answer.hits]
    assert ranking == sorted(ranking)
    best = [hit.product_id for hit in everything.hits[: query.top_k]]
    if answer.plan.strategy != "graph":
        assert [hit.product_id for hit in answer.hits] == best
    worst = truth[best[-1]].score - TIE if best else 0.0
    return sum(hit.score >= worst for hit in answer.hits), len(best)


class TwinMachine(RuleBasedStateMachine):
    """Do the same to a graph engine, a scanning engine and the twin; compare every answer."""

    @initialize(start=st.lists(world.records, min_size=20, max_size=40))
    def begin(self, start: list[Record]) -> None:
        """Start from a catalogue, so that graphs and filters have something to work on."""
        self.graph, self.scan = tiny_engine(graphs=True), tiny_engine(graphs=False)
        self.twin = ExactIndex(world.MODEL, world.DIM)
        self.good = self.wanted = 0
        self.apply(start)

    @rule(batch=st.lists(world.records, min_size=1, max_size=6))
    def apply(self, batch: list[Record]) -> None:
        """Apply a batch of any kinds; outcomes agree, searchability after each included."""
        outcomes = self.twin.apply(batch)
        assert self.graph.apply(batch) == outcomes
        assert self.scan.apply(batch) == outcomes

    @rule(batch=st.integers(1, 30))
    def index(self, batch: int) -> None:
        """Move some fresh rows into the graphs."""
        self.graph.index_pending(batch)

    @rule(queries=st.lists(world.queries(), min_size=1, max_size=5))
    def search(self, queries: list[Query]) -> None:
        """Search all three."""
        for query in queries:
            good, wanted = check_against(self.twin, query, self.graph.search(query))
            self.good, self.wanted = self.good + good, self.wanted + wanted
            check_against(self.twin, query, self.scan.search(query))

    @rule(product_id=world.product_ids)
    def look(self, product_id: str) -> None:
        """Compare what is known of one product, and its vectors."""
        assert self.graph.product(product_id) == self.twin.product(product_id)
        mine, its = self.graph.vectors_of(product_id), self.twin.vectors_of(product_id)
        assert [name for name, _ in mine] == [name for name, _ in its]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(mine, its, strict=True))

    @invariant()
    def count(self) -> None:
        """Compare the counts with the twin's after every step."""
        everything = self.twin.search(Query(world.pool()[0], top_k=1000))
        stats = self.graph.stats()
        assert (stats.products, stats.vectors) == (len(everything.hits), everything.plan.visited)
        assert stats.fresh_rows <= stats.rows
        assert 0.0 <= stats.dead_ratio <= 1.0

    def teardown(self) -> None:
        """Hold the recall of the whole run against the floor."""
        if self.wanted >= 30:
            assert self.good / self.wanted >= RECALL_FLOOR


TwinMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestTwin = TwinMachine.TestCase


@given(
    batch=st.lists(
        world.records, max_size=40, unique_by=lambda r: (type(r), r.product_id, r.order)
    ),
    shuffle=st.randoms(use_true_random=False),
    query=world.queries(),
)
@settings(max_examples=100)
def test_any_order_and_repetition_of_records_gives_the_same_state(
    batch: list[Record], shuffle: "np.random.Generator", query: Query
) -> None:
    """Replays, duplicates and late events change nothing: the newest of each kind decides."""
    straight, mixed = tiny_engine(graphs=False), tiny_engine(graphs=False)
    straight.apply(batch)
    again = [*batch, *batch[::2]]
    shuffle.shuffle(again)
    mixed.apply(again)
    for product_id in {record.product_id for record in batch}:
        assert straight.product(product_id) == mixed.product(product_id)
    left, right = straight.search(query), mixed.search(query)
    assert left.hits == right.hits
    assert left.plan == right.plan
