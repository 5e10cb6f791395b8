"""The query vector: a weighted sum of what the user showed and said, made a unit vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from visualsearch.errors import QueryError
from visualsearch.types import FloatArray

TEXT_WEIGHT = 0.43  # 0.7 of image to 0.3 of words
SMALLEST_NORM = 1e-6
SMALLEST_SHARE = 1e-4  # of the weights: what is left of less is the rounding of stored vectors
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-9, 1e200  # between them squares are exact enough
LARGEST_FLOAT = 1e30  # the same for single precision


@dataclass(frozen=True, slots=True, eq=False)
class QueryPart:
    """One thing to look for: a vector of shape (dim,), and its weight, negative to avoid it.

    Without a weight, images share 1 and texts share `text_weight` (1 if there is no image).
    """

    vector: npt.NDArray[np.floating]
    weight: float | None = None
    field: str = "query"  # names the culprit in an error


@dataclass(frozen=True, slots=True, eq=False)
class WeightedPart:
    """A part as it went into a query: its field, its weight and its unit vector (dim,)."""

    field: str
    weight: float
    vector: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ComposedQuery:
    """A query vector of shape (dim,), and what it is the sum of."""

    vector: FloatArray
    parts: tuple[WeightedPart, ...]


def compose_vector(
    images: Sequence[QueryPart] = (),
    texts: Sequence[QueryPart] = (),
    *,
    dim: int,
    text_weight: float = TEXT_WEIGHT,
) -> FloatArray:
    """Return `composed(…).vector`, and raise what that does."""
    return compose_query(images, texts, dim=dim, text_weight=text_weight).vector


def compose_query(
    images: Sequence[QueryPart] = (),
    texts: Sequence[QueryPart] = (),
    *,
    dim: int,
    text_weight: float = TEXT_WEIGHT,
) -> ComposedQuery:
    """Return `normalize(sum of weight x unit vector)`, float32 of shape (dim,), and its parts.

    Raises QueryError: `query_empty` without parts, `vector_invalid` and `weight_invalid` for a
    part, and `query_degenerate` when the parts cancel out and leave no direction: the sum's
    length is at most `SMALLEST_SHARE` of the weights' sizes.
    """
    if not images and not texts:
        raise QueryError(
            "nothing to search for was given; add an image, words, a product or a vector",
            code="query_empty",
            field="query",
        )
    total, weights = np.zeros(dim, dtype=np.float64), 0.0
    weighed: list[WeightedPart] = []
    for parts, share in ((images, 1.0), (texts, text_weight if images else 1.0)):
        default = share / max(sum(part.weight is None for part in parts), 1)
        for part in parts:
            weight = default if part.weight is None else part.weight
            if not np.isfinite(weight):
                raise QueryError(
                    f"weight must be a finite number, not {weight}",
                    code="weight_invalid",
                    field=part.field,
                )
            weights += abs(weight)
            unit = unit_vector(part.vector, dim, field=part.field)
            weighed.append(WeightedPart(part.field, weight, unit))
            total += weight * unit.astype(np.float64)
    if not float(np.linalg.norm(total)) > SMALLEST_SHARE * weights:
        raise QueryError(
            "the query's parts cancel each other out; change a weight or drop a part",
            code="query_degenerate",
            field="query",
        )
    vector = unit_vector(total / weights, dim, field="query")  # only their ratio counts
    return ComposedQuery(vector, tuple(weighed))


def unit_vector(vector: npt.ArrayLike, dim: int, *, field: str) -> FloatArray:
    """Return a caller's vector as float32 of unit length; any length but zero will do.

    Raises QueryError `vector_invalid` for another shape, NaN or infinity, and
    `query_degenerate` for a vector without direction.
    """
    if isinstance(vector, np.ndarray) and vector.dtype == np.float32 and vector.shape == (dim,):
        square = float(vector @ vector)  # of one of ours, mostly: the doubles below take longer
        if SMALLEST_SQUARE < square < LARGEST_FLOAT:
            unit: FloatArray = vector * np.float32(1.0 / sqrt(square))
            return unit
    try:
        array = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise QueryError(
            f"vector must be {dim} numbers", code="vector_invalid", field=field
        ) from error
    if array.shape != (dim,):
        raise QueryError(
            f"vector must have shape ({dim},), not {array.shape}",
            code="vector_invalid",
            field=field,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(array @ array)
    if SMALLEST_SQUARE < square < LARGEST_SQUARE:
        return _as_float(array / sqrt(square))
    if not np.isfinite(array).all():
        raise QueryError("vector holds NaN or infinity", code="vector_invalid", field=field)
    largest = float(np.abs(array).max())
    if largest < SMALLEST_NORM:
        raise QueryError(
            "vector has no direction, all its numbers are zero: give another",
            code="query_degenerate",
            field=field,
        )
    scaled = array / largest  # squares of very large numbers would overflow
    return _as_float(scaled / np.linalg.norm(scaled))


def _as_float(array: npt.NDArray[np.float64]) -> FloatArray:
    return array.astype(np.float32)
