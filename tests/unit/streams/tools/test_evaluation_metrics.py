"""The metrics against cases worked out by hand, and against a slow oracle that shares no code."""

import math
from itertools import permutations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.evaluation import ranking
from visualsearch.evaluation.preference import agreement
from visualsearch.evaluation.sampling import corrected, difference, estimate, quantile
from visualsearch.evaluation.variety import coverage, diversity

RANKED = ["a", "x", "b", "y", "c"]
GRADES = {"a": 3.0, "b": 1.0, "d": 2.0}


def test_metrics_worked_out_by_hand() -> None:
    """Three relevant, two of them shown, at ranks 1 and 3."""
    found = ranking.scores(RANKED, GRADES, [1, 3, 5], shown=4)
    assert found["recall@1"] == pytest.approx(1 / 3)
    assert found["recall@5"] == pytest.approx(2 / 3)
    assert found["precision@3"] == pytest.approx(2 / 3)
    assert found["precision@shown"] == pytest.approx(2 / 4)
    assert found["mrr"] == 1.0
    assert found["map"] == pytest.approx((1 / 1 + 2 / 3) / 3)
    gained = 7 / math.log2(2) + 1 / math.log2(4)
    best = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@3"] == pytest.approx(gained / best)
    assert ranking.reciprocal_rank(["x", "y", "b"], GRADES) == pytest.approx(1 / 3)
    assert ranking.reciprocal_rank(["x"], GRADES) == 0.0


def test_nothing_shown_scores_nothing() -> None:
    """Not an error: an answer may be empty."""
    assert set(ranking.scores([], GRADES, [5], 5).values()) == {0.0}


@pytest.mark.parametrize(
    ("ranked", "grades"),
    [(["a", "a"], GRADES), (["a"], {}), (["a"], {"a": 0.0}), (["a"], {"a": float("nan")})],
)
def test_what_cannot_be_judged_is_refused(ranked: list[str], grades: dict[str, float]) -> None:
    """Rather than a figure that means nothing."""
    with pytest.raises(ValueError):
        ranking.scores(ranked, grades, [5], 5)


names = st.sampled_from("abcdefghij")
rankings = st.lists(names, unique=True, max_size=8)
judgements = st.dictionaries(names, st.integers(1, 4).map(float), min_size=1, max_size=6)


def slow_ndcg(ranked: list[str], grades: dict[str, float], k: int) -> float:
    """Return the gain over the best gain of any order of everything, by trying them all."""

    def gain(order: tuple[str, ...] | list[str]) -> float:
        return sum(
            (2 ** grades.get(name, 0.0) - 1) / math.log2(rank + 1)
            for rank, name in enumerate(order[:k], 1)
        )

    return gain(ranked) / max(gain(order) for order in permutations(grades))


@given(rankings, judgements, st.integers(1, 8))
def test_metrics_agree_with_a_slow_oracle(
    ranked: list[str], grades: dict[str, float], k: int
) -> None:
    """Set by set, order by order."""
    top = set(ranked[:k]) & set(grades)
    found = ranking.scores(ranked, grades, [k], shown=k)
    assert found[f"recall@{k}"] == pytest.approx(len(top) / len(grades))
    assert found[f"precision@{k}"] == pytest.approx(len(top) / k)
    assert found[f"ndcg@{k}"] == pytest.approx(slow_ndcg(ranked, grades, k), abs=1e-9)
    precisions = [
        len(set(ranked[:rank]) & set(grades)) / rank
        for rank in range(1, min(k, len(ranked)) + 1)
        if ranked[rank - 1] in grades
    ]
    assert found["map"] == pytest.approx(sum(precisions) / min(k, len(grades)))


@given(rankings, judgements, st.integers(1, 8))
def test_metrics_are_bounded_and_a_better_order_never_scores_less(
    ranked: list[str], grades: dict[str, float], k: int
) -> None:
    """Moving the most relevant to the front helps or changes nothing; recall grows with k."""
    found = ranking.scores(ranked, grades, [k, k + 1], shown=k)
    assert all(0.0 <= value <= 1.0 + 1e-9 for value in found.values())
    sorted_by_grade = sorted(ranked, key=lambda name: -grades.get(name, 0.0))
    better = ranking.scores(sorted_by_grade, grades, [k, k + 1], shown=k)
    assert all(better[name] >= value - 1e-9 for name, value in found.items())
    assert found[f"recall@{k + 1}"] >= found[f"recall@{k}"]


@given(rankings, judgements)
def test_names_mean_nothing(ranked: list[str], grades: dict[str, float]) -> None:
    """Renaming the products changes no metric."""
    other = {name: f"{9 - place}" for place, name in enumerate("abcdefghij")}
    renamed = ranking.scores(
        [other[name] for name in ranked],
        {other[name]: grade for name, grade in grades.items()}, [3], 3,
    )  # fmt: skip
    assert renamed == ranking.scores(ranked, grades, [3], 3)


def test_grades_of_any_size_give_a_figure() -> None:
    """2^g of a large grade would overflow."""
    assert ranking.ndcg(["b", "a"], {"a": 5000.0, "b": 4000.0}, 2) == pytest.approx(
        1 / math.log2(3), abs=1e-6
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 200 samples of 60 queries whose mean is known."""
    random = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        found = estimate((random.random(60) < 0.7).astype(np.float64), seed=seed)
        assert found.low <= found.mean <= found.high
        held += found.low <= 0.7 <= found.high
    assert 180 <= held <= 200


def test_quantiles_and_order() -> None:
    """The order of the queries changes nothing but the draw."""
    values = np.arange(1.0, 101.0)
    found = quantile(values, 0.95)
    assert found.mean == pytest.approx(np.percentile(values, 95))
    assert 85 < found.low < found.mean < found.high <= 100
    assert estimate(values).mean == estimate(values[::-1]).mean


def test_a_paired_test_is_exact_for_few_queries() -> None:
    """Against every flip counted by hand, and symmetric."""
    one, other = np.array([1.0, 0.9, 0.8, 0.4]), np.array([0.5, 0.5, 0.9, 0.4])
    each = [0.5, 0.4, -0.1]
    flips = [abs(sum(s * x for s, x in zip(signs, each, strict=True)))
             for signs in product((1, -1), repeat=3)]  # fmt: skip
    p = sum(flip >= abs(sum(each)) - 1e-9 for flip in flips) / len(flips)
    found = difference(one, other)
    assert found.p == pytest.approx(p)
    assert (found.better, found.worse, found.same) == (2, 1, 1)
    assert difference(other, one).p == pytest.approx(p)
    assert difference(other, one).mean == pytest.approx(-found.mean)


def test_a_paired_test_tells_chance_from_a_difference() -> None:
    """Small p-values are rare where there is none, and there where there is one."""
    random = np.random.default_rng(2)
    nothing = [difference(random.random(40), random.random(40), seed=n).p for n in range(60)]
    assert sum(p < 0.05 for p in nothing) <= 8
    base = random.random(200)
    assert difference(base + 0.05, base + 0.05 * random.random(200)).p < 0.001
    assert difference(base, base).p == 1.0


def test_a_permutation_test_of_many_queries_agrees_with_a_slow_oracle() -> None:
    """Against signs flipped one by one with another generator."""
    draws = Random(3)
    one = np.array([draws.random() + 0.2 for _ in range(30)])
    other = np.array([draws.random() for _ in range(30)])
    each = list(one - other)
    flips = [abs(sum(draws.choice((x, -x)) for x in each)) for _ in range(10_000)]
    p = sum(flip >= abs(sum(each)) for flip in flips) / len(flips)
    assert 0.02 < p < 0.5, "neither certain nor chance: a test that can fail"
    assert difference(one, other).p == pytest.approx(p, abs=0.02)


def test_rounding_is_no_difference() -> None:
    """The sum of decimals that cancel is not 0 in binary, and neither is 0.1 + 0.2 - 0.3."""
    one, other = np.array([0.1, 0.2, 0.0, 0.0]), np.array([0.0, 0.0, 0.1, 0.2])
    assert difference(one, other).p == 1.0
    found = difference(np.array([0.1 + 0.2, 0.5]), np.array([0.3, 0.4]))
    assert (found.better, found.worse, found.same) == (1, 0, 1)


@pytest.mark.parametrize("scores", [[0.3], [0.25] * 7])
def test_scores_that_do_not_vary_have_no_width(scores: list[float]) -> None:
    """One query, or equal ones: the interval is the figure, and nothing warns."""
    values = np.array(scores)
    for found in (estimate(values), quantile(values, 0.95)):
        assert (found.mean, found.low, found.high) == (scores[0],) * 3
        assert found.queries == len(scores)
    found = difference(values, values - 0.125)
    assert (found.mean, found.low, found.high) == (0.125,) * 3
    assert found.p == 2 / 2 ** len(scores)


def test_a_score_that_is_no_number_spoils_the_figure_and_says_so() -> None:
    """Every figure is NaN: the p-value too, which would look like a sure difference."""
    values = np.array([0.1, np.nan, 0.3])
    for found in (estimate(values), quantile(values, 0.5), difference(values, np.zeros(3))):
        assert np.isnan([found.mean, found.low, found.high]).all()
    assert np.isnan(difference(values, np.zeros(3)).p)


def test_no_queries_are_refused() -> None:
    """Rather than a figure that means nothing."""
    nothing = np.array([])
    for measure in (estimate, lambda x: quantile(x, 0.5), lambda x: difference(x, x)):
        with pytest.raises(ValueError, match="no query"):
            measure(nothing)
    with pytest.raises(ValueError, match="different queries"):
        difference(np.array([1.0]), np.array([1.0, 2.0]))


def test_holm_corrects_many_tests_at_once() -> None:
    """The smallest by their number, the next by one fewer, never falling."""
    assert corrected({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )


def test_variety_by_hand() -> None:
    """Of the same, of orthogonal ones, and of pairs counted one by one."""
    eye = np.eye(4, dtype=np.float32)
    assert diversity(eye) == pytest.approx(1.0)
    assert diversity(eye[[0, 0, 0]]) == pytest.approx(0.0)
    assert diversity(eye[[0, 0, 1]]) == pytest.approx(1 - 1 / 3)
    assert diversity(eye[:1]) == 0.0
    found = coverage([["a", "b"], ["b", "c"], ["b"]], 10)
    assert found.mean == pytest.approx(0.3)
    assert found.low < 0.3 < found.high


def test_preferences_and_their_ties() -> None:
    """Right, wrong, and tied with one of two."""
    eye = np.eye(3, dtype=np.float32)
    assert agreement(eye[0], eye[0], eye[1:]) == 1.0
    assert agreement(eye[0], eye[1], eye[[0, 2]]) == 0.0
    assert agreement(eye[0], eye[0], eye[[0, 1]]) == 0.5
