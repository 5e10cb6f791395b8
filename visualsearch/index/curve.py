"""What a search costs and finds on this very index: recall and time over ef and over lists.

`recall_target` is met by choosing from these curves. They are measured in the background with
queries that were really asked, filled up with mixtures of stored pictures, against exact answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from visualsearch.index.astray import SPREAD
from visualsearch.index.lists import Effort

FEW, MANY = 10, 100  # the k that are measured
CHANCE = 0.1  # share of rows that the measured random filter keeps
GROUP = 0.15  # share of lists that the measured averse filter keeps
DEARER = 1.3  # times the cost of a further setting: less is chance
MORE = 0.01  # recall: as much may a setting find more than a further one by chance
SAME = 0.0005  # recall that no effort is worth: a tenth of what measuring leaves open
EFS = (24, 32, 48, 64, 96, 128, 160, 192, 256, 384, 512, 768, 1024, 1536)
EFFORTS = (
    Effort(0.08, 2.0), Effort(0.12, 2.0), Effort(0.15, 2.5), Effort(0.18, 3.0), Effort(0.21, 3.5),
    Effort(0.25, 5.0), Effort(0.30, 10.0), Effort(0.40, 15.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a search, measured: recall@10, recall@100 and microseconds of a core.

    The recalls are those of the sample less some of their standard error, to be on the safe side.
    """

    setting: float
    few: float
    many: float
    cost: float

    def recall(self, k: int) -> float:
        """Return the recall that counts for k."""
        return self.few if k <= FEW else self.many


def rising(points: Sequence[Point]) -> list[Point]:
    """Leave out the settings that are dearer than a further one, or find more than it.

    Narrow beams go astray so often that lists answer, mostly at several times the cost; what they
    find so says nothing of the beams between them and wider ones.
    """
    kept: list[Point] = []
    least = few = many = float("inf")
    for point in reversed(points):
        least = min(least, point.cost)
        few, many = min(few, point.few + MORE), min(many, point.many + MORE)
        if point.cost <= DEARER * least and point.few <= few and point.many <= many:
            kept.append(point)
    return kept[::-1]


def cheapest(points: Sequence[Point], k: int, target: float) -> Point:
    """Return the first point, they rise, that reaches the target for k, or as much as any does."""
    goal = min(target, max(point.recall(k) for point in points) - SAME)
    return next(point for point in points if point.recall(k) >= goal)


def between(points: Sequence[Point], k: int, target: float) -> tuple[float, float]:
    """Return the setting that reaches the target for k, between the measured ones, and its cost."""
    high = cheapest(points, k, target)
    place = points.index(high)
    low = points[place - 1] if place else high
    rise = high.recall(k) - low.recall(k)
    share = 1.0 if rise <= 0 else min(1.0, max(0.0, (target - low.recall(k)) / rise))
    return (
        low.setting + share * (high.setting - low.setting),
        low.cost + share * (high.cost - low.cost),
    )


def effort(place: float) -> Effort:
    """Return the effort at a place in EFFORTS, between two of them too; beyond all, the last."""
    last = len(EFFORTS) - 1
    low = min(int(place), last)
    high, share = min(low + 1, last), place - low
    return Effort(
        EFFORTS[low].reach + share * (EFFORTS[high].reach - EFFORTS[low].reach),
        EFFORTS[low].refine + share * (EFFORTS[high].refine - EFFORTS[low].refine),
    )


def _guessed_graph() -> tuple[Point, ...]:
    return (Point(200.0, 1.0, 1.0, 530.0),)


def _guessed_lists() -> tuple[Point, ...]:
    last = len(EFFORTS) - 2
    return (Point(float(last), 1.0, 1.0, 4_000.0),)


@dataclass(frozen=True, slots=True)
class Curves:
    """The measured points; before anything was measured, settings on the safe side.

    A setting of `graph` is ef; of the lists it is a place in EFFORTS: `plain` without a filter,
    `random` with one that has nothing to do with the picture, `averse` with one that leaves out
    just what is near the query.
    """

    graph: tuple[Point, ...] = field(default_factory=_guessed_graph)
    plain: tuple[Point, ...] = field(default_factory=_guessed_lists)
    random: tuple[Point, ...] = field(default_factory=_guessed_lists)
    averse: tuple[Point, ...] = field(default_factory=_guessed_lists)
    rows: int = 0  # live ones when they were measured
    asked: int = 0  # queries that were really asked, of those that they were measured with
    listed: bool = False  # with lists; without, only `graph` was measured
    row_cost: float | None = None  # microseconds to score a row exactly
    spread: float = SPREAD  # of the scores of a list's rows: see `astray`
