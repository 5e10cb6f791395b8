"""The query vector: weights, defaults, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import clustered
from visualsearch.errors import QueryError
from visualsearch.search.compose import QueryPart, compose_vector, unit_vector

DIM = 12
A, B, C = clustered(3, DIM, clusters=3, seed=9)


def direction(vector: np.ndarray) -> np.ndarray:
    """Return the unit vector."""
    return vector / np.linalg.norm(vector)


def test_a_lone_part_is_itself() -> None:
    """An image or a text alone needs no weight."""
    assert np.allclose(compose_vector([QueryPart(A)], dim=DIM), A, atol=1e-6)
    assert np.allclose(compose_vector([], [QueryPart(B)], dim=DIM), B, atol=1e-6)


def test_picture_and_text_default_to_alpha() -> None:
    """e_img + alpha * e_txt, alpha being the encoder's."""
    got = compose_vector([QueryPart(A)], [QueryPart(B)], dim=DIM, text_weight=0.43)
    assert np.allclose(got, direction(A + 0.43 * B), atol=1e-6)
    assert got.dtype == np.float32


def test_several_parts_without_weights_share() -> None:
    """Three photos must not drown the words."""
    got = compose_vector([QueryPart(A), QueryPart(B)], [QueryPart(C)], dim=DIM, text_weight=0.5)
    assert np.allclose(got, direction((A + B) / 2 + 0.5 * C), atol=1e-6)


def test_weights_may_be_negative() -> None:
    """An image without what the text says."""
    got = compose_vector([QueryPart(A, 1.0)], [QueryPart(B, -0.4)], dim=DIM)
    assert np.allclose(got, direction(A - 0.4 * B), atol=1e-6)


@given(
    scale=st.floats(1e-3, 1e3),
    weights=st.lists(st.floats(0.1, 5), min_size=3, max_size=3),
)
def test_the_result_is_a_unit_vector_and_scale_does_not_matter(
    scale: float, weights: list[float]
) -> None:
    """Only the ratio of the weights counts."""
    parts = [QueryPart(v, w) for v, w in zip((A, B, C), weights, strict=True)]
    scaled = [QueryPart(v, w * scale) for v, w in zip((A, B, C), weights, strict=True)]
    got = compose_vector(parts, dim=DIM)
    assert abs(float(np.linalg.norm(got)) - 1.0) < 1e-5
    assert np.allclose(got, compose_vector(scaled, dim=DIM), atol=1e-5)


@pytest.mark.parametrize(
    ("images", "texts", "code", "field"),
    [
        ([], [], "query_empty", "query"),
        ([QueryPart(A, 1.0), QueryPart(A, -1.0)], [], "query_degenerate", "query"),
        ([QueryPart(A, 0.0)], [], "query_degenerate", "query"),
        ([QueryPart(A, float("nan"))], [], "weight_invalid", "query"),
        (
            [QueryPart(A), QueryPart(A[:-1], field="query.vector")],
            [],
            "vector_invalid",
            "query.vector",
        ),
        ([QueryPart(A * np.nan, field="v")], [], "vector_invalid", "v"),
        ([QueryPart(A * 0, field="v")], [], "query_degenerate", "v"),
    ],
)
def test_a_query_without_direction_is_refused(
    images: list[QueryPart], texts: list[QueryPart], code: str, field: str
) -> None:
    """Each with a stable code and the field to blame."""
    with pytest.raises(QueryError) as caught:
        compose_vector(images, texts, dim=DIM)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_callers_vector_is_normalised_and_left_alone() -> None:
    """Any length but zero will do, however large; the caller's array is not changed."""
    given_vector = A.astype(np.float64) * 1e200
    copy = given_vector.copy()
    assert np.allclose(unit_vector(given_vector, DIM, field="vector"), A, atol=1e-6)
    assert np.array_equal(given_vector, copy)


@pytest.mark.parametrize("bad", [["x"] * DIM, [[1.0], [1.0, 2.0]], None, [1.0] * (DIM + 1)])
def test_what_is_no_vector_is_refused(bad: object) -> None:
    """A caller may send anything."""
    with pytest.raises(QueryError) as caught:
        unit_vector(bad, DIM, field="query.vector")
    assert caught.value.code == "vector_invalid"
    assert caught.value.field == "query.vector"


def test_what_rounding_leaves_is_no_direction() -> None:
    """A stored vector is a rounded one: a product less itself is nothing to search for."""
    rounded = A.astype(np.float16)
    with pytest.raises(QueryError) as caught:
        compose_vector([QueryPart(A, 100.0), QueryPart(rounded, -100.0)], dim=DIM)
    assert caught.value.code == "query_degenerate"
    assert "weight" in str(caught.value)
    assert np.isfinite(compose_vector([QueryPart(A, 1.0), QueryPart(B, -1.0)], dim=DIM)).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-100, 100)), min_size=1, max_size=6))
def test_any_weights_give_a_unit_vector_or_a_reason(some: list[tuple[int, float]]) -> None:
    """Never NaN, never a vector of another length."""
    parts = [QueryPart((A, B, C)[number], weight) for number, weight in some]
    total = sum(weight * (A, B, C)[number].astype(np.float64) for number, weight in some)
    left = float(np.linalg.norm(total)) / max(sum(abs(weight) for _, weight in some), 1e-300)
    if left > 2e-4:
        got = compose_vector(parts[:3], parts[3:], dim=DIM)
        assert abs(float(np.linalg.norm(got)) - 1) < 1e-5
    elif left < 5e-5:
        with pytest.raises(QueryError) as caught:
            compose_vector(parts[:3], parts[3:], dim=DIM)
        assert caught.value.code == "query_degenerate"
