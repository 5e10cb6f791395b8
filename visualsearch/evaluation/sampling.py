"""Statistics over a sample of queries: bootstrap intervals and permutation tests.

Seeded: the same scores give the same interval.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
RESAMPLES = 2_000  # of the bootstrap
PERMUTATIONS = 10_000  # if fewer exist, the test is exact
_BATCH = 1 << 20  # numbers drawn at a time
_DIGITS = 12  # of a difference; the rest is rounding


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or quantile over queries, and its 95 % interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference of two configurations on the same queries.

    `p` is the p-value of a paired permutation test, which swaps the two within queries.
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
    return _bootstrap(scores, lambda values, axis: values.mean(axis), seed)


def quantile(values: Scores, share: float, *, seed: int = 0) -> Estimate:
    """Return a quantile, such as 0.95, with its bootstrap interval. Raises ValueError for none."""
    return _bootstrap(values, lambda drawn, axis: np.quantile(drawn, share, axis), seed)


def difference(one: Scores, other: Scores, *, seed: int = 0) -> Difference:
    """Return `one` less `other`, query by query. Raises ValueError for unequal or no queries."""
    if one.shape != other.shape:
        raise ValueError("the two have scores of different queries")
    each = (one - other).round(_DIGITS)
    found = estimate(each, seed=seed)
    return Difference(
        found.mean, found.low, found.high, _p_value(each, seed),
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


def _bootstrap(values: Scores, statistic: Callable[..., Any], seed: int) -> Estimate:
    count = len(values)
    if not count:
        raise ValueError("no query has a score")
    found = float(statistic(values, axis=0))
    if count == 1 or np.isnan(found):  # SciPy refuses the former and warns of the latter
        return Estimate(found, found, found, count)
    from scipy.stats import bootstrap

    low, high = bootstrap(
        (values,), statistic, vectorized=True, method="percentile", n_resamples=RESAMPLES,
        batch=max(1, _BATCH // count), rng=seed,
    ).confidence_interval  # fmt: skip
    return Estimate(found, float(low), float(high), count)


def _p_value(each: Scores, seed: int) -> float:
    """Return the p-value of a sign-flip permutation test; NaN if a difference is NaN."""
    if np.isnan(each).any():
        return float("nan")
    moved = each[each != 0]
    if len(moved) < 2:  # a flipped sign leaves the distance from 0
        return 1.0
    from scipy.stats import permutation_test

    return float(permutation_test(
        (moved,), lambda drawn, axis: np.abs(drawn.mean(axis)).round(_DIGITS), vectorized=True,
        permutation_type="samples", alternative="greater", n_resamples=PERMUTATIONS,
        batch=max(1, _BATCH // len(moved)), rng=seed,
    ).pvalue)  # fmt: skip
