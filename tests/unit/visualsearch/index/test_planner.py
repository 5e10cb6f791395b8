"""The planner's choice, at the situations it was calibrated on, and what the curves change."""

import dataclasses

import pytest

from visualsearch.index.curve import Curves, Point, effort
from visualsearch.index.planner import (
    Choice,
    Costs,
    Situation,
    Tuning,
    choose,
    wanted_rows,
)

BIG = Situation(
    top_k=100,
    matches=200_000,
    matching_rows=200_000,
    live_rows=200_000,
    fresh_rows=0,
    uncoded_rows=0,
    segments=1,
    coded=False,
)
MEASURED = Curves(
    graph=(Point(64, 0.98, 0.95, 300), Point(128, 0.99, 0.97, 500), Point(256, 1.0, 0.995, 900)),
    plain=(Point(0, 0.97, 0.95, 1_000), Point(1, 0.99, 0.99, 1_500)),
    random=(Point(0, 0.97, 0.95, 800), Point(2, 0.99, 0.99, 1_200)),
    averse=(Point(3, 0.97, 0.95, 900), Point(5, 0.99, 0.99, 2_000)),
    rows=200_000,
    row_cost=0.4,
)


def chosen(curves: Curves | None = None, target: float = 0.98, **changes: float) -> Choice:
    """Return the choice in a situation that differs from 200,000 unfiltered rows."""
    situation = dataclasses.replace(BIG, **changes)
    return choose(situation, Tuning(), Costs(), curves or Curves(), target)


def matching(count: int, curves: Curves | None = None, **changes: float) -> Choice:
    """Return the choice when a filter leaves so many products of one image."""
    return chosen(curves, matches=count, matching_rows=count, **changes)


@pytest.mark.parametrize("coded", [False, True])
def test_no_filter_on_a_large_index_walks_the_graph(coded: bool) -> None:
    """Each next beam is wider, and none is dearer than a scan."""
    choice = chosen(top_k=10, coded=coded)
    assert choice.strategy == "graph"
    assert list(choice.beams) == sorted(set(choice.beams))
    assert all(Costs().walk(1, ef) < 200_000 * Costs().row for ef in choice.beams)


@pytest.mark.parametrize("count", [1, 183, 2_000, 5_000])
@pytest.mark.parametrize("coded", [False, True])
def test_few_matches_are_scanned(count: int, coded: bool) -> None:
    """Measured: below about 10,000 of 200,000 rows a scan is faster than over-fetching."""
    assert matching(count, coded=coded).strategy == "exact"


def test_half_the_rows_matching_doubles_the_fetch() -> None:
    """The graph knows no filter: twice the rows must be fetched, and a surplus."""
    choice = matching(100_000)
    assert choice.strategy == "graph"
    assert choice.beams[0] == chosen().beams[0] * 2 * Tuning().surplus


@pytest.mark.parametrize(
    ("count", "strategy"),
    [(20_000, "ivfpq"), (39_000, "ivfpq"), (100_000, "graph"), (181_000, "graph")],
)
def test_lists_serve_filters_and_the_graph_weak_ones(count: int, strategy: str) -> None:
    """Where there are lists, a graph is for filters that keep much."""
    assert matching(count, coded=True).strategy == strategy


def test_several_pictures_a_product_widen_the_beam() -> None:
    """A hundred products of five images are up to five hundred rows."""
    assert wanted_rows(BIG.top_k, 40_000, BIG.matching_rows) == 500
    assert chosen(matches=40_000).beams[0] == 5 * chosen().beams[0]


def test_nothing_matching_is_empty_and_a_small_index_is_scanned() -> None:
    """The two ends of the range."""
    assert chosen(matches=0, matching_rows=0).strategy == "empty"
    assert matching(900, live_rows=900).strategy == "exact"
    assert chosen(segments=0, fresh_rows=200_000, uncoded_rows=200_000).strategy == "exact"


def test_many_fresh_rows_make_the_graph_pointless_unless_lists_hold_them() -> None:
    """When nearly all must be scanned anyway, all are."""
    assert chosen(fresh_rows=199_990, uncoded_rows=199_990).strategy == "exact"
    assert chosen(fresh_rows=2_000, coded=True).strategy == "graph"
    assert chosen(fresh_rows=90_000, coded=True).strategy == "ivfpq"
    assert chosen(fresh_rows=199_990, coded=True).strategy == "ivfpq"
    assert chosen(segments=0, fresh_rows=200_000, coded=True).strategy == "ivfpq"
    everything = {"fresh_rows": 199_990, "uncoded_rows": 199_990}
    assert chosen(**everything, coded=True).strategy == "exact"


def test_top_k_beyond_what_a_graph_can_give_is_scanned() -> None:
    """Wanting nearly everything is cheapest by looking at everything."""
    assert matching(20_000, live_rows=20_000, top_k=10_000).strategy == "exact"


def test_the_recall_asked_for_decides_the_beam() -> None:
    """A setting between two measured ones, for k = 10 and k = 100 by their own recalls."""
    beams = [chosen(MEASURED, target).beams[0] for target in (0.90, 0.97, 0.98, 0.99)]
    assert beams == sorted(set(beams))
    assert beams[0] == 100  # 64 would do, but so many rows are wanted
    assert beams[-1] <= 256
    assert 128 < chosen(MEASURED, 0.98).beams[0] < 256
    assert chosen(MEASURED, 0.98, top_k=10).beams[0] < 128


def test_of_several_graphs_each_is_asked_for_less_than_is_wanted() -> None:
    """Unless one of them holds nearly everything."""
    low = chosen(MEASURED, 0.90, segments=2, largest=0.5).beams[0]
    assert low == 64
    assert chosen(MEASURED, 0.90, segments=2, largest=0.95).beams[0] == 100


@pytest.mark.parametrize("coded", [False, True])
def test_all_of_the_recall_is_a_scan(coded: bool) -> None:
    """No walk and no code promises it."""
    assert chosen(MEASURED, 1.0, coded=coded).strategy == "exact"


@pytest.mark.parametrize(
    ("count", "target", "usual", "related", "averse"),
    [
        (20_000, 0.98, 1.5, 1.75, 5.5),  # between the measured points, a step more if averse
        (20_000, 0.94, 0, 1, 4),
        (100_000, 0.98, 1.5, 1.75, 5.5),  # more rows: the further of both ends
        (150_000, 0.98, 1.5, 1.75, 6.5),  # and two steps
        (150_000, 0.94, 0, 1, 5),
        (150_000, 0.99, 2, 2, 7),
    ],
)
def test_the_recall_asked_for_decides_the_effort(
    count: int, target: float, usual: float, related: float, averse: float
) -> None:
    """Under a filter the curve of chance counts, and the averse one waits beside it."""
    situation = dataclasses.replace(BIG, matches=count, matching_rows=count, coded=True)
    choice = choose(situation, Tuning(), Costs(), MEASURED, target)
    for chosen_effort, place in zip(
        (choice.effort, choice.related, choice.averse), (usual, related, averse), strict=True
    ):
        expected = effort(place)
        assert chosen_effort.reach == pytest.approx(expected.reach)
        assert chosen_effort.refine == pytest.approx(expected.refine)


def test_a_filter_that_keeps_much_needs_what_no_filter_needs() -> None:
    """A tenth of the rows is found with less effort than half of them."""
    easy = dataclasses.replace(MEASURED, random=(Point(0, 1.0, 1.0, 800),))
    assert matching(20_000, easy, coded=True).effort == effort(0)
    further = matching(100_000, easy, coded=True).effort
    assert further.reach == pytest.approx(effort(0.75).reach)
    assert further.refine == pytest.approx(effort(0.75).refine)


def test_measured_costs_replace_the_guessed_ones() -> None:
    """A machine on which lists are quick and graphs are slow walks no graph."""
    slow = dataclasses.replace(
        MEASURED, graph=tuple(dataclasses.replace(p, cost=50_000.0) for p in MEASURED.graph)
    )
    assert chosen(MEASURED, coded=True).strategy == "graph"
    assert chosen(slow, coded=True).strategy == "ivfpq"
    quick_rows = dataclasses.replace(slow, row_cost=1e-4)
    assert chosen(quick_rows, coded=True).strategy == "exact"


def test_lists_look_further_in_an_index_that_has_grown_since() -> None:
    """The best rows lie closer together then: a step for each doubling."""
    few = {"matches": 30_000, "matching_rows": 30_000, "coded": True}
    before = chosen(MEASURED, **few)
    after = chosen(dataclasses.replace(MEASURED, rows=100_000), **few)
    assert after.strategy == before.strategy == "ivfpq"
    assert after.effort == effort(2.5)
    assert before.effort == effort(1.5)
    assert after.averse == effort(6.5)
