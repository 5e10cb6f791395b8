"""The planner's choice, at the situations it was calibrated on."""

import dataclasses

import pytest

from visualsearch.index.planner import Choice, Costs, Situation, Tuning, choose

BIG = Situation(
    top_k=100,
    matches=200_000,
    matching_rows=200_000,
    live_rows=200_000,
    graph_rows=200_000,
    fresh_rows=0,
    segments=1,
)


def chosen(**changes: int) -> Choice:
    """Return the choice in a situation that differs from 200,000 unfiltered rows."""
    return choose(dataclasses.replace(BIG, **changes), Tuning(), Costs())


def matching(count: int, **changes: int) -> Choice:
    """Return the choice when a filter leaves so many products of one picture."""
    return chosen(matches=count, matching_rows=count, **changes)


def test_no_filter_on_a_large_index_walks_the_graph() -> None:
    """The beam is at least the usual one, and each next one is wider."""
    choice = chosen(top_k=10)
    assert choice.strategy == "graph"
    assert choice.beams[0] == Tuning().ef_min
    assert list(choice.beams) == sorted(set(choice.beams))


@pytest.mark.parametrize("count", [1, 183, 2_000, 5_000])
def test_few_matches_are_scanned(count: int) -> None:
    """Measured: below about 10,000 of 200,000 rows a scan is faster than over-fetching."""
    assert matching(count).strategy == "exact"


def test_half_the_rows_matching_doubles_the_fetch() -> None:
    """The graph knows no filter: twice the rows must be fetched, and a surplus."""
    choice = matching(100_000)
    assert choice.strategy == "graph"
    assert choice.beams[0] == pytest.approx(100 * 2 * Tuning().surplus, abs=1)


def test_several_pictures_a_product_widen_the_beam() -> None:
    """Twenty products of five pictures are up to a hundred rows."""
    choice = chosen(matches=40_000)
    assert choice.beams[0] >= 100 * 5


def test_nothing_matching_is_empty_and_a_small_index_is_scanned() -> None:
    """The two ends of the range."""
    small = {"live_rows": 900, "graph_rows": 900}
    assert chosen(matches=0, matching_rows=0).strategy == "empty"
    assert matching(900, **small).strategy == "exact"
    assert chosen(segments=0, graph_rows=0, fresh_rows=200_000).strategy == "exact"


def test_many_fresh_rows_make_the_graph_pointless() -> None:
    """When nearly all must be scanned anyway, all are."""
    assert chosen(graph_rows=1_000, fresh_rows=199_000).strategy == "exact"


def test_top_k_beyond_what_a_graph_can_give_is_scanned() -> None:
    """Wanting nearly everything is cheapest by looking at everything."""
    assert matching(20_000, graph_rows=20_000, live_rows=20_000, top_k=10_000).strategy == "exact"
