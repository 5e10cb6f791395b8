"""Row storage: chunks, masks, and which vectors are taken at all."""

import numpy as np
import pytest

from tests.strategies import clustered
from visualsearch.index.rows import Rows, unit_rows
from visualsearch.types import ImageVector

DIM = 8


def filled(count: int, *, chunk_rows: int) -> Rows:
    """Return storage with so many rows, appended in threes."""
    rows = Rows(DIM, chunk_rows=chunk_rows)
    vectors = clustered(count, DIM, clusters=3, seed=1)
    for slot, begin in enumerate(range(0, count, 3)):
        part = vectors[begin : begin + 3]
        rows.append(part, slot, [False] * len(part))
    return rows


def test_rows_keep_their_ids_and_values_across_chunks() -> None:
    """A set of pictures may straddle two chunks; ids go on counting."""
    rows = filled(20, chunk_rows=4)
    wanted = clustered(20, DIM, clusters=3, seed=1)
    assert rows.count == 20
    assert np.array_equal(rows.gather(np.array([19, 0, 3, 4, 0])), wanted[[19, 0, 3, 4, 0]])
    assert rows.slot[:7].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert rows.alive[:20].all()
    assert not rows.live[:20].any()


def test_growing_leaves_what_a_reader_holds_untouched() -> None:
    """A search goes on reading the arrays it took, whatever is appended meanwhile."""
    rows = filled(60, chunk_rows=16)
    slots, before = rows.slot, rows.slot[:60].copy()
    for _ in range(50):
        rows.append(clustered(3, DIM, clusters=1, seed=2), 99, [True] * 3)
    assert rows.slot is not slots
    assert np.array_equal(slots[:60], before)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("start", "stop"), [(0, 1300), (5, 5), (499, 1203)])
def test_scan_scores_exactly_the_masked_rows(share: float, start: int, stop: int) -> None:
    """Sparse masks are gathered and dense ones scored whole: the result is the same."""
    rows = filled(1300, chunk_rows=600)
    mask = np.random.default_rng(0).random(1300) < share
    query = clustered(1, DIM, clusters=1, seed=5)[0]
    found, scores = rows.scan(query, mask, start, stop)
    wanted = np.flatnonzero(mask)
    wanted = wanted[(wanted >= start) & (wanted < stop)]
    assert found.tolist() == wanted.tolist()
    assert np.allclose(scores, rows.gather(wanted) @ query, atol=1e-6)


def test_float16_vectors_become_unit_float32() -> None:
    """What the log carries as float16 is off by rounding; it is made a unit vector again."""
    vectors = clustered(5, DIM, clusters=2, seed=1)
    images = [ImageVector("i", vector.astype(np.float16)) for vector in vectors]
    rows = unit_rows(images, DIM)
    assert rows is not None
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
    assert np.allclose(rows, vectors, atol=2e-3)
    assert images[0].vector.dtype == np.float16


def test_no_pictures_are_a_valid_set() -> None:
    """A product without pictures has zero rows, of the right width."""
    rows = unit_rows([], DIM)
    assert rows is not None
    assert rows.shape == (0, DIM)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(DIM),
        np.full(DIM, np.nan),
        np.full(DIM, np.inf),
        np.full(DIM, 1e300),
        np.ones(DIM),
        np.ones(DIM - 1) / np.sqrt(DIM - 1),
        np.ones((1, DIM)) / np.sqrt(DIM),
    ],
    ids=["zero", "nan", "inf", "huge", "long", "narrow", "nested"],
)
def test_one_unusable_vector_refuses_the_set(bad: np.ndarray) -> None:
    """Half a set of pictures would be a wrong answer; none at all is a visible outcome."""
    good = clustered(1, DIM, clusters=1, seed=0)[0]
    assert unit_rows([ImageVector("a", good), ImageVector("b", bad)], DIM) is None
