"""How many rows are expected to beat the last one found, and how that is measured."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.index.astray import ASTRAY, RIGHT, SPREADS, SURE, better_rows, measured_spread
from visualsearch.index.codes import trained
from visualsearch.index.lists import Coder
from visualsearch.types import FloatArray

WANTED = 100
USUAL = np.array([0.1, 0.3, 0.25], dtype=np.float32)
ACROSS = np.array([0.6, 0.5, 0.001], dtype=np.float32)
SIZES = np.array([5_000, 200, 7])


@given(last=st.floats(-1, 1), spread=st.sampled_from(list(SPREADS)))
def test_a_normal_distribution_around_each_lists_usual_score(last: float, spread: float) -> None:
    """Summed over the lists, within the step of the table."""
    found = float(better_rows(USUAL, ACROSS, SIZES, np.float32(last), spread))  # type: ignore[arg-type]
    exact = sum(
        size * (1 - NormalDist(float(usual), spread * float(across)).cdf(last))
        for usual, across, size in zip(USUAL, ACROSS, SIZES, strict=True)
    )
    assert found == pytest.approx(exact, abs=0.01 * SIZES.sum())


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2), st.sampled_from([0.03, 0.2]))
def test_a_higher_score_is_beaten_by_fewer(lasts: list[float], spread: float) -> None:
    """Of many answers at once, one row of usual scores each."""
    last = np.array(sorted(lasts), dtype=np.float32)
    low, high = better_rows(np.stack([USUAL, USUAL]), ACROSS, SIZES, last, spread)
    assert low >= high


def rows_around(spread: float, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw the scores of 64 lists' rows for 200 queries: usual ones, true last, all (sorted)."""
    rng = np.random.default_rng(seed)
    usual = rng.normal(0.1, 0.08, size=(200, 64)).astype(np.float32)
    scores: FloatArray = np.repeat(usual, 500, axis=1)
    scores += rng.normal(0, spread * 0.5, size=scores.shape).astype(np.float32)
    scores = -np.sort(-scores, axis=1)
    return usual, scores[:, WANTED - 1], scores


@pytest.mark.parametrize("spread", [0.03, 0.07, 0.15])
def test_the_spread_is_that_of_the_rows(spread: float) -> None:
    """Right answers then stay below what makes one wrong, and those of a wrong cluster do not."""
    usual, last, scores = rows_around(spread, 3)
    across, sizes = np.full(64, 0.5, dtype=np.float32), np.full(64, 500)
    found = measured_spread(usual, across, sizes, last, WANTED)
    assert 0.95 * spread <= found <= 1.4 * spread  # a little wide: twice as many are let expected
    right = better_rows(usual, across, sizes, last, found)
    assert np.quantile(right, SURE) <= RIGHT * WANTED
    assert (right < ASTRAY * WANTED).all()
    wrong = better_rows(usual, across, sizes, scores[:, 12 * WANTED], found)
    assert (wrong > ASTRAY * WANTED).mean() > 0.9


def test_answers_that_look_wrong_whatever_the_spread() -> None:
    """The narrowest is left: lists that say nothing of their rows are believed the least."""
    usual = np.full((5, 3), 0.9, dtype=np.float32)
    last = np.full(5, 0.1, dtype=np.float32)
    assert measured_spread(usual, ACROSS, SIZES, last, WANTED) == SPREADS[0]


def test_lists_of_one_picture() -> None:
    """Nothing is left of it beside its centroid, and nothing is divided by that."""
    rows = np.repeat(np.eye(16, dtype=np.float32), 3, axis=0)
    coder = Coder(trained(rows, len(rows)))
    usual = coder.usual(rows[-1])  # the first ones are held back
    assert usual.shape == coder.across.shape
    assert (coder.across > 0).all()
    assert np.allclose(coder.usual(rows)[-1], usual)
    sizes = np.ones(len(usual), dtype=np.int64)
    better = better_rows(usual, coder.across, sizes, usual.max() - np.float32(0.1), 0.05)
    assert better == pytest.approx(1.0, abs=1e-3)
