"""How to search: a pure choice between an exact scan and a walk of the graphs, by cost."""

from dataclasses import dataclass
from math import ceil
from typing import Literal


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of one thread, measured on 512-d vectors (docs/adr/0002-live-index.md).

    Other dimensions scale all of them alike, so the choice hardly moves.
    """

    row_cached: float = 0.16  # a row of a scan that fits the cache
    row: float = 0.35  # a row of a larger scan
    cached_rows: int = 5_000
    segment: float = 150.0  # entering one graph
    candidate: float = 1.9  # one more candidate in a graph's beam

    def scan(self, rows: int) -> float:
        """Return the cost of scoring so many rows."""
        return rows * (self.row_cached if rows <= self.cached_rows else self.row)

    def walk(self, segments: int, ef: int) -> float:
        """Return the cost of walking so many graphs with a beam of `ef`."""
        return segments * (self.segment + self.candidate * ef)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice rests on; counts of rows are of the moment the search began."""

    top_k: int
    matches: int  # products that satisfy the filters
    matching_rows: int
    live_rows: int
    graph_rows: int  # rows that graphs hold, dead ones included
    fresh_rows: int  # rows that only a scan can find
    segments: int


@dataclass(frozen=True, slots=True)
class Tuning:
    """The knobs of the choice."""

    graph_threshold: int = 5_000  # with fewer matching rows a scan is under a millisecond
    ef_min: int = 200
    ef_max: int = 10_000
    widen: int = 4  # how much more to fetch when a walk found too few products
    surplus: float = 3.0  # times what the selectivity asks for: the end of a beam is lossy


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy, and for graphs the beams to try in turn before falling back to a scan."""

    strategy: Literal["exact", "graph", "empty"]
    beams: tuple[int, ...] = ()


def choose(situation: Situation, tuning: Tuning, costs: Costs) -> Choice:
    """Choose the cheaper way to `min(top_k, matches)` products.

    A graph knows no filters: it must be asked for as many rows as hold the wanted number of
    matching ones, so its cost grows as matches thin out, while that of a scan falls.
    """
    if situation.matches == 0 or situation.top_k == 0:
        return Choice("empty")
    scan = costs.scan(situation.matching_rows)
    if situation.matching_rows <= tuning.graph_threshold or situation.segments == 0:
        return Choice("exact")
    beams = []
    ef = _first_beam(situation, tuning)
    fresh = costs.scan(situation.fresh_rows)
    while ef <= tuning.ef_max and fresh + costs.walk(situation.segments, ef) < scan:
        beams.append(ef)
        ef *= tuning.widen
    return Choice("graph", tuple(beams)) if beams else Choice("exact")


def _first_beam(situation: Situation, tuning: Tuning) -> int:
    """Return how many rows to ask a graph for so that enough matching products are among them."""
    products = min(situation.top_k, situation.matches)
    rows_per_product = situation.matching_rows / situation.matches
    share = situation.matching_rows / max(situation.graph_rows + situation.fresh_rows, 1)
    needed = products * rows_per_product / share
    return max(tuning.ef_min, ceil(needed * tuning.surplus))
