"""Which graphs become one, in what order rows are inserted, and what a rebuild holds."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.support.strategies import clustered
from visualsearch.index.graph import DENSE, THIN, Segment, Shape
from visualsearch.index.layout import Layout
from visualsearch.index.merge import (
    ROUNDS,
    UNORDERED,
    Backlog,
    Merge,
    insertion_order,
    to_rebuild,
    to_tidy,
)
from visualsearch.index.rows import NewRows, Rows, stored

DIM = 16
V = clustered(400, DIM, clusters=6, seed=5)


@dataclass(frozen=True)
class Graph:
    """The counts of a graph, which are all that the policy looks at."""

    shape: Shape
    added: int
    marked: int = 0
    capacity: int = 100

    @property
    def free(self) -> int:
        """Return how many more rows fit."""
        return self.capacity - self.added

    @property
    def live(self) -> int:
        """Return how many rows are not marked."""
        return self.added - self.marked


def thin(added: int = 100, marked: int = 0) -> Graph:
    """Return a graph for fresh rows, full unless said otherwise."""
    return Graph(THIN, added, marked)


def dense(added: int, marked: int = 0) -> Graph:
    """Return a rebuilt graph."""
    return Graph(DENSE, added, marked, added)


FULL = [thin(), thin(), thin(), thin()]
POLICY = [
    ([], []),
    ([thin(50)], []),
    (FULL[:3], []),
    ([*FULL[:3], thin(99)], []),  # the fourth still takes rows
    (FULL, [0, 1, 2, 3]),
    ([dense(400), *FULL, thin(10)], [1, 2, 3, 4]),
    ([*FULL, thin()], [0, 1, 2, 3]),
    ([dense(400), dense(400)], [0, 1]),
    ([dense(400), dense(900)], []),  # more than twice as large
    ([dense(900), dense(400), dense(450)], [1, 2]),
    ([dense(700), dense(600)], []),  # the result would exceed the most
    ([thin(100, 21)], [0]),
    ([thin(100, 20)], []),
    ([thin(40, 11)], []),  # few rows: 12 must be dead
    ([thin(40, 13)], [0]),
    ([dense(1000, 150), dense(1000, 201), thin(90, 18)], [1]),  # the worst by its share
    ([*FULL, dense(500, 110)], [4]),  # the dead come first
    ([dense(800, 160), dense(700, 140)], [1, 0]),  # by live rows they fit
    ([thin(30, 30)], [0]),
]


@pytest.mark.parametrize(("graphs", "chosen"), POLICY)
def test_the_policy(graphs: list[Graph], chosen: list[int]) -> None:
    """Graphs of 100 to at most 1,200 rows; at least 12 dead ones are worth a rebuild."""
    assert to_rebuild(graphs, most_rows=1_200, least_dead=12) == tuple(graphs[n] for n in chosen)


@pytest.mark.parametrize("most", [400, 2_000, 10_000])
def test_growth_ends_in_few_graphs_and_every_row_is_rebuilt_seldom(most: int) -> None:
    """A tree of merges: the rows written behind are a logarithm times those in front."""
    graphs: list[Graph] = []
    written = 0
    for _ in range(200):
        graphs.append(thin())
        while replaced := to_rebuild(graphs, most, 12):
            rows = sum(graph.live for graph in replaced)
            assert rows <= most
            written += rows
            graphs = [g for g in graphs if not any(g is r for r in replaced)] + [dense(rows)]
    assert sum(graph.live for graph in graphs) == 20_000
    assert len(graphs) <= 3 + np.ceil(np.log2(most / 400)) + 2 * 20_000 / most
    assert written <= 20_000 * (2 + np.log2(most / 400))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 1_000])
def test_the_order_of_insertion_takes_each_row_once(count: int) -> None:
    """Rounds of all lists: within one, lists come one after the other."""
    lists = np.random.default_rng(count).integers(5, size=count)
    order = insertion_order(lists, seed=3)
    assert sorted(order.tolist()) == list(range(count))
    assert np.array_equal(order, insertion_order(lists, seed=3))
    if count == 1_000:
        assert (np.diff(lists[order[: count // UNORDERED]]) < 0).any(), "some in no order first"
        for part in np.array_split(order[count // UNORDERED :], ROUNDS):
            assert (np.diff(lists[part]) >= 0).all()
            assert len(np.unique(lists[part])) == 5
        assert not np.array_equal(order, insertion_order(lists, seed=4))


def storage(count: int) -> Rows:
    """Return so many rows, of one product each."""
    rows = Rows(DIM, chunk_rows=64)
    whole, scales = stored(V[:count])
    rows.write(
        [
            NewRows(n, rows.take(1), whole[n : n + 1], scales[n : n + 1], [False])
            for n in range(count)
        ]
    )
    return rows


def merge_of(rows: Rows, ids: np.ndarray) -> Merge:
    """Return a rebuild of these rows."""
    lists = np.arange(len(ids)) % 7
    return Merge((), ids.astype(np.int32), lambda _: lists, rows, 5, threads=1)


def test_a_rebuild_holds_what_is_alive_when_its_turn_comes() -> None:
    """Rows that die meanwhile are left out; those that died after their turn are in it."""
    rows = storage(300)
    merge = merge_of(rows, np.arange(300))
    order = merge.rows.copy()
    merge.step(100)
    rows.alive[order[:10]] = False  # too late
    rows.alive[order[150:160]] = False
    assert (merge.progress.done, merge.progress.total, merge.finished) == (100, 300, False)
    while not merge.finished:
        merge.step(64)
    assert set(merge.result.rows.tolist()) == set(range(300)) - set(order[150:160].tolist())
    assert merge.result.shape is DENSE
    for row in (0, 17, 299):
        found = merge.result.search(V[row], 20)
        assert found is not None
        assert row in found or row in order[150:160]


def test_a_rebuild_of_nothing_is_finished() -> None:
    """All rows of its graphs may be dead."""
    merge = merge_of(storage(1), np.empty(0, dtype=np.int64))
    assert merge.finished
    assert len(merge.result.rows) == 0


def test_a_step_that_fails_loses_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory may be short for a moment: the same rows are tried again."""
    rows = storage(200)
    merge = merge_of(rows, np.arange(200))
    real, failures = Segment.add, iter([True, False, True])

    def add(self: Segment, *args: object) -> None:
        if next(failures, False):
            raise RuntimeError("Not enough memory")
        real(self, *args)

    monkeypatch.setattr(Segment, "add", add)
    while not merge.finished:
        try:
            merge.step(50)
        except RuntimeError:
            continue
    assert sorted(merge.result.rows.tolist()) == list(range(200))


def test_a_backlog_is_taken_when_it_no_longer_grows_or_fills_a_graph() -> None:
    """While records pour in it becomes longer: the graph becomes larger."""
    layout = Layout(segment_rows=10, most_rows=100, backlog_s=0.0)
    backlog = Backlog(lambda: 5.0)
    assert [backlog.due(n, layout) for n in (15, 15, 25, 40, 38, 41)] == [
        False, False, False, False, True, False,
    ]  # fmt: skip
    assert backlog.due(100, layout)
    assert not Backlog().due(99, layout), "nothing is known of it yet"


def test_a_backlog_is_taken_when_it_grows_more_slowly_than_it_would_be_taken() -> None:
    """A short stop says nothing yet; a trickle that never stops does not keep it waiting."""
    layout = Layout(segment_rows=10, most_rows=100_000, backlog_s=0.02)
    clock = [0.0]
    backlog = Backlog(lambda: clock[0])

    def at(ms: int, waiting: int) -> bool:
        clock[0] = ms / 1e3
        return backlog.due(waiting, layout)

    assert not at(0, 100)
    assert not at(1, 200)
    assert not at(19, 200), "it stopped for a moment"
    assert not at(20, 300), "200 in 20 ms are more than 40"
    assert not at(39, 310)
    assert at(40, 340), "40 in 20 ms"
    assert not at(90, 100), "of the next ones nothing is known yet"
    assert at(110, 100)


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([], []),
        ([100], []),
        ([100, 49], []),  # less than half
        ([100, 50], [50, 100]),
        ([1_000, 60, 50, 40], [40, 50, 60]),
        ([300, 60, 50, 40], [40, 50, 60, 300]),
        ([900, 400, 30], []),
        ([0, 0], []),
        ([700, 800], []),  # together beyond the most
    ],
)
def test_the_policy_of_tidying(sizes: list[int], chosen: list[int]) -> None:
    """Small graphs become one where they are half of the next larger one."""
    graphs = [dense(size) for size in sizes]
    assert [graph.live for graph in to_tidy(graphs, lambda graph: graph.live, 1_200, 2)] == chosen
