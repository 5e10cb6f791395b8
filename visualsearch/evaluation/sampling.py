"""What a sample of queries says about all of them: intervals, and tests of a difference.

Seeded: the same scores give the same interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
DRAWS = 2_000
FLIPS = 10_000
EVERY = 12  # queries that differ, up to which every flip of signs is counted
_BLOCK = 1 << 22  # numbers drawn at a time
_NOISE = 1e-12  # differences below are rounding


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over queries, and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One configuration less another on the same queries.

    `p` is how often chance alone gives a difference as large: by a permutation test that swaps
    the two within queries.
    """

    mean: float
    low: float
    high: float
    p: float
    better: int  # queries
    worse: int
    same: int


def estimate(scores: Scores, *, seed: int = 0) -> Estimate:
    """Return the mean of one score per query, by resampling queries (percentile bootstrap).

    Raises ValueError without scores.
    """
    _some(scores)
    low, high = _interval(scores, seed)
    return Estimate(float(scores.mean()), low, high, len(scores))


def quantile(values: Scores, share: float, *, seed: int = 0) -> Estimate:
    """Return a quantile, such as 0.95, with its bootstrap interval. Raises ValueError for none."""
    _some(values)
    found = np.concatenate([
        np.quantile(values[rows], share, axis=1) for rows in _resamples(len(values), seed)
    ])  # fmt: skip
    low, high = np.quantile(found, (0.025, 0.975))
    return Estimate(float(np.quantile(values, share)), float(low), float(high), len(values))


def difference(one: Scores, other: Scores, *, seed: int = 0) -> Difference:
    """Return `one` less `other`, query by query. Raises ValueError for unequal or no queries."""
    if one.shape != other.shape:
        raise ValueError("the two have scores of different queries")
    _some(one)
    each = one - other
    each = np.where(np.abs(each) < _NOISE, 0.0, each)
    low, high = _interval(each, seed)
    return Difference(
        float(each.mean()), low, high, _flipped(each, seed),
        int((each > 0).sum()), int((each < 0).sum()), int((each == 0).sum()),
    )  # fmt: skip


def corrected(ps: Mapping[str, float]) -> dict[str, float]:
    """Return p-values of several tests made at once, corrected by Holm's method."""
    found: dict[str, float] = {}
    least = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda pair: pair[1])):
        least = max(least, min(1.0, p * (len(ps) - place)))
        found[name] = least
    return found


def _flipped(each: Scores, seed: int) -> float:
    """Return the share of sign flips whose mean is as far from 0 as that of the sample."""
    moved = each[each != 0]
    if not len(moved):
        return 1.0
    seen = abs(moved.sum()) - _NOISE
    if len(moved) <= EVERY:
        bits = np.arange(1 << len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float((np.abs((1 - 2 * bits) @ moved) >= seen).mean())
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(moved))
    extreme = 0
    for start in range(0, FLIPS, step):
        signs = random.integers(2, size=(min(step, FLIPS - start), len(moved))) * 2 - 1
        extreme += int((np.abs(signs @ moved) >= seen).sum())
    return (extreme + 1) / (FLIPS + 1)


def _interval(scores: Scores, seed: int) -> tuple[float, float]:
    means = np.concatenate([scores[rows].mean(axis=1) for rows in _resamples(len(scores), seed)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _resamples(count: int, seed: int) -> list[npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // count)
    return [
        random.integers(count, size=(min(step, DRAWS - start), count))
        for start in range(0, DRAWS, step)
    ]


def _some(scores: Scores) -> None:
    if not len(scores):
        raise ValueError("no query has a score")
