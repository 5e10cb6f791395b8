"""How to search: a pure choice of the cheapest way that reaches the recall asked for."""

from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

from visualsearch.index.curve import CHANCE, EFFORTS, MANY, Curves, between, effort
from visualsearch.index.lists import Effort

MOST = 0.6  # a filter that keeps so much and avoids the query leaves out just what is near it
SPREAD = 1.25  # the best rows lie in the graphs by chance: the largest may hold more than its share

Strategy = Literal["exact", "graph", "ivfpq", "empty"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of one core on 512-d vectors, until the index has measured its own curves."""

    row: float = 0.45  # scoring a row exactly, gathered from anywhere
    candidate: float = 1.9  # one more candidate in a graph's beam
    entry: float = 150.0  # entering a graph

    def walk(self, segments: int, ef: float) -> float:
        """Return the cost of walking so many graphs with a beam of `ef`."""
        return segments * (self.entry + self.candidate * ef)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice rests on; counts of rows are of the moment the search began."""

    top_k: int
    matches: int  # products that satisfy the filters
    matching_rows: int
    live_rows: int
    fresh_rows: int  # rows that no graph holds
    uncoded_rows: int  # rows that no list holds, and of which it is not known yet which one will
    segments: int
    coded: bool  # there are lists
    largest: float = 1.0  # the largest graph's share of the rows of all graphs


@dataclass(frozen=True, slots=True)
class Tuning:
    """The knobs of the choice."""

    recall_target: float = 0.98
    exact_rows: int = 2_000  # with fewer matching rows a scan is under a millisecond
    ef_max: int = 10_000
    widen: int = 4  # how much more to fetch when a walk found too few products
    surplus: float = 1.5  # times what the selectivity asks for: a filter may avoid the query
    weak_filter: float = 0.2  # with lists at hand a graph serves filters that keep so much


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy; for graphs the beams to try in turn, for lists how far to look."""

    strategy: Strategy
    beams: tuple[int, ...] = ()
    effort: Effort = EFFORTS[-2]
    related: Effort = EFFORTS[-2]  # when the filter turns out to keep what is near,
    averse: Effort = EFFORTS[-2]  # or to leave it out


def choose(
    situation: Situation, tuning: Tuning, costs: Costs, curves: Curves, target: float
) -> Choice:
    """Choose the cheapest way to `min(top_k, matches)` products at the target recall.

    A graph knows no filters: it must be asked for as many rows as hold the wanted number of
    matching ones, so its cost grows as matches thin out, while that of a scan falls. Lists of
    codes stand between: their cost hardly depends on the filter.
    """
    if situation.matches == 0 or situation.top_k == 0:
        return Choice("empty")
    if situation.matching_rows <= tuning.exact_rows or target >= 1.0:
        return Choice("exact")
    wanted = wanted_rows(situation.top_k, situation.matches, situation.matching_rows)
    row = costs.row if curves.row_cost is None else curves.row_cost
    efforts = _efforts(situation, curves, wanted, target)
    options = [(situation.matching_rows * row, Choice("exact"))]
    if situation.coded:
        cost = _look_cost(situation, row, curves, wanted, target, efforts[0])
        options.append((cost, Choice("ivfpq", (), *efforts)))
    share = situation.matching_rows / situation.live_rows
    if situation.segments and (share >= tuning.weak_filter or not situation.coded):
        beams = _beams(situation, tuning, curves, wanted, target)
        cost = _walk_cost(situation, costs, curves, beams[0]) if beams else float("inf")
        kept = tuple(ef for ef in beams if _walk_cost(situation, costs, curves, ef) < options[0][0])
        fresh = share * situation.fresh_rows * row
        options.append((cost + fresh, Choice("graph", kept, *efforts)))
    return min(options, key=lambda option: option[0])[1]


def _walk_cost(situation: Situation, costs: Costs, curves: Curves, ef: float) -> float:
    """Return what a walk of all graphs costs: as measured, or by their number before that."""
    if not curves.rows:
        return costs.walk(situation.segments, ef)
    low, high = curves.graph[0], curves.graph[-1]
    if high.setting == low.setting:
        return low.cost
    slope = (high.cost - low.cost) / (high.setting - low.setting)
    return max(low.cost + slope * (ef - low.setting), 0.3 * low.cost)


def wanted_rows(top_k: int, matches: int, matching_rows: int) -> int:
    """Return how many rows make up the wanted products."""
    return ceil(min(top_k, matches) * matching_rows / matches)


def _usual(situation: Situation, curves: Curves, wanted: int, target: float) -> tuple[float, float]:
    """Return how far to look in lists for the target, and its cost, unless the filter is averse.

    The more rows match, the more of them are in each other's way: a filter that keeps more than
    the measured one needs what the further of both ends needs.
    """
    plain = between(curves.plain, wanted, target)
    if situation.matching_rows == situation.live_rows:
        return plain
    chance = between(curves.random, wanted, target)
    if situation.matching_rows <= CHANCE * situation.live_rows:
        return chance
    return max(plain, chance)


def _efforts(
    situation: Situation, curves: Curves, wanted: int, target: float
) -> tuple[Effort, Effort, Effort]:
    """Return how far to look in lists: usually, if the filter is related, and if it is averse."""
    usual, _ = _usual(situation, curves, wanted, target)
    denser = log2(max(1.0, situation.live_rows / curves.rows)) if curves.rows else 0.0
    usual += denser  # since they were measured: the best rows lie closer together
    if situation.matching_rows == situation.live_rows:
        return effort(usual), effort(usual), effort(usual)
    # What is near the query and matches is as dense there as if there were no filter, and denser
    # than around other queries; of a filter that keeps much, more is second best than was measured.
    related = max(usual, between(curves.plain, wanted, target)[0] + 1)
    # Of a few the best is as easily missed: what many need counts.
    averse, _ = between(curves.averse, max(wanted, MANY), target)
    averse += denser + 1  # the measured one keeps whole lists, also near: others keep less there
    averse += situation.matching_rows > MOST * situation.live_rows
    return effort(usual), effort(related), effort(max(usual, averse))


def _look_cost(
    situation: Situation, row: float, curves: Curves, wanted: int, target: float, usual: Effort
) -> float:
    """Return what a look through the lists costs."""
    more = max(0, wanted - MANY) * usual.refine * row  # candidates beyond the measured
    uncoded = situation.uncoded_rows * situation.matching_rows / max(situation.live_rows, 1)
    _, cost = _usual(situation, curves, wanted, target)
    if situation.matching_rows < situation.live_rows:  # masks and a selector cost, too
        cost = max(cost, between(curves.random, wanted, target)[1])
    return cost + more + uncoded * row


def _beams(
    situation: Situation, tuning: Tuning, curves: Curves, wanted: int, target: float
) -> tuple[int, ...]:
    """Return the beams to try: what the target asks for, over what the filter keeps."""
    setting, _ = between(curves.graph, wanted, target)
    share = situation.matching_rows / max(situation.live_rows, 1)
    surplus = 1.0 if share == 1.0 else tuning.surplus / share
    ef = ceil(setting * max(1.0, wanted / MANY) * (surplus if share < 1.0 else 1.0))
    # Of several graphs none holds all that is wanted; the curve was measured on all together.
    ef = max(ef, ceil(wanted * min(1.0, SPREAD * situation.largest)))
    beams = []
    while ef <= tuning.ef_max:
        beams.append(ef)
        ef *= tuning.widen
    return tuple(beams)
