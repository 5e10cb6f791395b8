"""Measuring the curves of an index: its own queries, exact answers, every setting in turn."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from visualsearch.index.arrays import BoolArray, DoubleArray, IntArray
from visualsearch.index.astray import measured_spread
from visualsearch.index.curve import CHANCE, EFFORTS, EFS, FEW, GROUP, MANY, Curves, Point, rising
from visualsearch.index.find import Finder, Scored
from visualsearch.index.planner import Choice
from visualsearch.index.rows import Rows
from visualsearch.index.view import View
from visualsearch.types import FloatArray

Measuring = Generator[Curves | None, None, None]
QUERIES = 512  # to measure with, at most: the error of recall falls with the root of it
REAL = 256  # were they really asked, so many do: for others lists find less, and graphs more
EVERY = 2  # under a filter lists go through one of so many blocks of them
LOST = 1
CAUTION = 4.0  # standard errors below the mean: settings between two points are chosen exactly
ENOUGH = 0.996  # recall@100 beyond which no more settings are tried
BLOCK, BLOCKS = 4_096, 4  # rows that are scored at once, and blocks of a step
AT_ONCE = 32  # queries of a step: rows that come meanwhile wait for its end


@dataclass(frozen=True, slots=True)
class Sampler:
    """Queries to measure with: real ones first, then stored pictures with some of another."""

    rows: Rows
    rng: np.random.Generator

    def queries(self, asked: Sequence[FloatArray], live: IntArray) -> tuple[FloatArray, int]:
        """Return up to QUERIES unit vectors: those asked last, each once.

        If they are fewer than REAL, others make QUERIES of them. The second value says how many
        had been asked by then.
        """
        real = list({vector.tobytes(): vector for vector in asked}.values())[-QUERIES:]
        others = QUERIES - len(real) if len(real) < REAL else 0
        pairs = self.rng.choice(live, size=(2, others))
        one, other = self.rows.unit(pairs[0]), self.rows.unit(pairs[1])
        mixed = one + np.float32(0.3) * other
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        first = np.array(real, dtype=np.float32).reshape(-1, self.rows.dim)
        return np.concatenate([first, mixed]), len(asked)


def true_rows(
    rows: Rows, live: IntArray, queries: FloatArray, wanted: int
) -> Generator[None, None, IntArray]:
    """Return the ids of the best rows of each query, best first, of shape (n, <= wanted)."""
    best_rows = np.empty((len(queries), 0), dtype=np.int64)
    best_scores = np.empty((len(queries), 0), dtype=np.float32)
    for begin in range(0, len(live), BLOCK):
        block = live[begin : begin + BLOCK]
        scores = queries @ rows.unit(block).T
        best_scores = np.concatenate([best_scores, scores], axis=1)
        best_rows = np.concatenate(
            [best_rows, np.broadcast_to(block, (len(queries), len(block)))], axis=1
        )
        if best_scores.shape[1] > wanted:
            top = np.argpartition(-best_scores, wanted - 1, axis=1)[:, :wanted]
            best_scores = np.take_along_axis(best_scores, top, axis=1)
            best_rows = np.take_along_axis(best_rows, top, axis=1)
        if begin // BLOCK % BLOCKS == BLOCKS - 1:
            yield None
    order = np.argsort(-best_scores, axis=1, kind="stable")
    return np.take_along_axis(best_rows, order, axis=1)


def measured(
    finder: Finder,
    take_view: Callable[[BoolArray | None], View],
    sample: tuple[FloatArray, int],
    rng: np.random.Generator,
    clock: Callable[[], float],
) -> Measuring:
    """Measure in steps; yield None after each, and the curves at last.

    `sample` holds the queries, and how many of them were really asked.

    `take_view` returns a view of the live rows that a mask over row ids keeps, None for all.
    """
    queries, asked = sample
    view = take_view(None)
    live = np.flatnonzero(view.mask)
    some = np.sort(rng.choice(live, size=min(2_000, len(live)), replace=False))
    begin = clock()
    finder.rows.score(some, queries[0])
    row_cost = 1e6 * (clock() - begin) / len(some)
    truth = yield from true_rows(finder.rows, live, queries, MANY)
    yield None
    guess = Curves()
    spread = _spread(finder.rows, view, queries, truth) if view.pieces else guess.spread
    tuned = replace(view, curves=replace(view.curves, spread=spread))  # `view` keeps its rows
    knobs = [_walks(finder, tuned), _looks(finder, view, every=1)]
    graph, plain = yield from _points(knobs, queries, truth, clock)
    graph = rising(graph)
    if not view.pieces:
        yield Curves(
            graph=tuple(graph) or guess.graph,
            rows=len(live),
            asked=asked,
            row_cost=row_cost,
        )
        return
    lists = rng.permutation(len(view.list_sizes))
    # Of a copy: rows are given other lists meanwhile, and `isin` goes over them more than once.
    list_of = view.list_of[: len(view.mask)].copy()
    averse = np.isin(list_of, lists[: max(1, int(GROUP * len(lists)))])
    others: list[list[Point]] = []
    for mask in (rng.random(len(view.mask)) < CHANCE, averse):
        narrow = take_view(mask)
        inside = np.flatnonzero(narrow.mask)
        if len(inside) < 2 * MANY:
            others.append(list(guess.random))
            continue
        best = yield from true_rows(finder.rows, inside, queries, MANY)
        yield None
        others += yield from _points([_looks(finder, narrow, every=EVERY)], queries, best, clock)
    yield Curves(
        graph=tuple(graph) or guess.graph,
        plain=tuple(plain),
        random=tuple(others[0]),
        averse=tuple(others[1]),
        rows=len(live),
        asked=asked,
        listed=True,
        row_cost=row_cost,
        spread=spread,
    )


def _spread(rows: Rows, view: View, queries: FloatArray, truth: IntArray) -> float:
    coder = view.pieces[0].coder
    last = np.einsum("ij,ij->i", rows.unit(truth[:, -1]), queries)
    usual = coder.usual(queries)
    return measured_spread(usual, coder.across, view.list_sizes, last, truth.shape[1])


class _Tried:
    """One setting so far: what it found of the best rows at both k, and what it took."""

    def __init__(self, setting: float) -> None:
        self.setting = setting
        self._shares: dict[int, list[float]] = {FEW: [], MANY: []}
        self._spent = 0.0

    def add(self, found: Sequence[IntArray], truth: IntArray, seconds: float) -> None:
        """Take what was found for some queries, best first, within these seconds."""
        self._spent += seconds
        for k, shares in self._shares.items():
            shares += [
                len(np.intersect1d(rows[:k], best[:k])) / min(k, len(best))
                for rows, best in zip(found, truth, strict=True)
            ]

    def point(self) -> Point:
        """Return recall at both k, on the safe side, and microseconds of this thread."""
        count = len(self._shares[MANY])
        recalls = []
        for k, shares in self._shares.items():
            # Of a few all are missed or none: as if so many queries more had found nothing.
            prior = count / (count + LOST) if k == FEW else 1.0
            error = np.std(shares) / np.sqrt(count)
            recalls.append(float(np.mean(shares) * prior - CAUTION * error))
        return Point(self.setting, recalls[0], recalls[1], 1e6 * self._spent / count)


@dataclass(frozen=True, slots=True)
class _Knob:
    """What can be set, and how to search by it; one of so many blocks of queries is enough."""

    settings: Iterable[float]
    search: Callable[[FloatArray, float], Scored]
    every: int = 1


def _points(
    knobs: Sequence[_Knob], queries: FloatArray, truth: IntArray, clock: Callable[[], float]
) -> Generator[None, None, list[list[Point]]]:
    """Return the points of each knob, up to the first setting that finds enough.

    Each block of queries goes through all of them before the next one does: their costs are
    compared, and on a machine that is shared each second is another.
    """
    tried = [[_Tried(float(setting)) for setting in knob.settings] for knob in knobs]
    for block, first in enumerate(range(0, len(queries), AT_ONCE)):
        asked, best = queries[first : first + AT_ONCE], truth[first : first + AT_ONCE]
        for knob, settings in zip(knobs, tried, strict=True):
            if block % knob.every:
                continue
            for place, one in enumerate(settings):
                begin = clock()
                found = [_ranked(*knob.search(query, one.setting)) for query in asked]
                one.add(found, best, clock() - begin)
                yield None
                if one.point().many >= ENOUGH:
                    del settings[place + 1 :]
                    break
    return [[one.point() for one in settings] for settings in tried]


def _ranked(rows: IntArray, scores: DoubleArray) -> IntArray:
    return rows[np.argsort(-scores)]


def _walks(finder: Finder, view: View) -> _Knob:
    def walk(vector: FloatArray, ef: float) -> Scored:
        return finder.walked(view, vector, int(ef), MANY)

    return _Knob(EFS if view.segments else (), walk)


def _looks(finder: Finder, view: View, *, every: int) -> _Knob:
    choices = [Choice("ivfpq", (), effort, effort, effort) for effort in EFFORTS]

    def look(vector: FloatArray, place: float) -> Scored:
        return finder.listed(view, vector, MANY, choices[int(place)])

    return _Knob(range(len(choices)) if view.pieces else (), look, every)
