"""Row storage: chunks, scores, reuse, and which vectors are taken at all."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.index.rows import WITH_VECTORS, NewRows, Rows, parts, prepared, stored, unit_rows
from visualsearch.types import (
    BaseRecord,
    FloatArray,
    ImageVector,
    OfferRecord,
    Outcome,
    Record,
    VectorsRecord,
)

DIM = 8
ORDER = (1, 0, 0)


def put(rows: Rows, vectors: FloatArray, slot: int) -> list[int]:
    """Store float vectors as one product's."""
    taken = rows.take(len(vectors))
    assert rows.write(
        [NewRows(slot, taken, *stored(vectors), [False] * len(vectors))]
    ).tolist() == (taken)
    return taken


def filled(count: int, *, chunk_rows: int) -> Rows:
    """Return storage with so many rows, added in threes."""
    rows = Rows(DIM, chunk_rows=chunk_rows)
    vectors = clustered(count, DIM, clusters=3, seed=1)
    for slot, begin in enumerate(range(0, count, 3)):
        put(rows, vectors[begin : begin + 3], slot)
    return rows


def test_rows_keep_their_ids_and_values_across_chunks() -> None:
    """A set of images may straddle two chunks; ids go on counting; they are read in any order."""
    rows = filled(20, chunk_rows=4)
    wanted = clustered(20, DIM, clusters=3, seed=1)
    assert (rows.count, rows.used) == (20, 20)
    some = np.array([19, 0, 3, 4, 0])
    assert np.allclose(rows.unit(some), wanted[some], atol=SCORE_TOLERANCE)
    assert rows.slot[:7].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert rows.alive[:20].all()
    assert not rows.live[:20].any()
    assert rows.unit(np.empty(0, dtype=np.int64)).shape == (0, DIM)


def test_many_products_are_written_at_once() -> None:
    """Their rows may lie anywhere, in any number of chunks, and in no order."""
    rows = filled(9, chunk_rows=4)
    rows.alive[[7, 2]] = False
    rows.free([7, 2])
    vectors = clustered(5, DIM, clusters=3, seed=4)
    whole, scales = stored(vectors)
    new = [
        NewRows(30 + n, rows.take(stop - start), whole[start:stop], scales[start:stop], scenes)
        for n, (start, stop, scenes) in enumerate(
            [(0, 1, [True]), (1, 4, [False, True, False]), (4, 4, []), (4, 5, [False])]
        )
    ]
    added = rows.write(new)
    assert sorted(added.tolist()) == [2, 7, 9, 10, 11]
    assert rows.slot[added].tolist() == [30, 31, 31, 31, 33]
    assert rows.lifestyle[added].tolist() == [True, False, True, False, False]
    assert np.allclose(rows.unit(added), vectors, atol=SCORE_TOLERANCE)


def test_products_without_pictures_write_nothing() -> None:
    """All of a group may have none."""
    rows = filled(3, chunk_rows=4)
    assert len(rows.write([NewRows(5, rows.take(0), *stored(np.empty((0, DIM))), [])])) == 0
    assert rows.used == 3


def test_growing_leaves_what_a_reader_holds_untouched() -> None:
    """A search goes on reading the arrays it took, whatever is added meanwhile."""
    rows = filled(60, chunk_rows=16)
    slots, before = rows.slot, rows.slot[:60].copy()
    for _ in range(50):
        put(rows, clustered(3, DIM, clusters=1, seed=2), 99)
    assert rows.slot is not slots
    assert np.array_equal(slots[:60], before)


def test_a_free_row_is_used_again_and_nothing_of_it_is_left() -> None:
    """Its vector, product and kind are the new ones; no id is given out twice."""
    rows = filled(6, chunk_rows=4)
    rows.alive[[1, 4]] = False
    rows.lifestyle[1] = True
    rows.free([1, 4])
    assert (rows.count, rows.used) == (6, 4)
    vectors = clustered(3, DIM, clusters=3, seed=9)
    added = put(rows, vectors, 77)
    assert sorted(added) == [1, 4, 6]
    assert (rows.count, rows.used) == (7, 7)
    assert np.allclose(rows.unit(np.array(added)), vectors, atol=SCORE_TOLERANCE)
    assert (rows.slot[added] == 77).all()
    assert rows.alive[added].all()
    assert not rows.live[added].any()
    assert not rows.lifestyle[added].any()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("start", "stop"), [(0, 1300), (5, 5), (499, 1203)])
def test_rows_wherever_they_are_score_their_cosine(share: float, start: int, stop: int) -> None:
    """Sparse ids are gathered and dense ones scored whole: the result is the same."""
    rows = filled(1300, chunk_rows=600)
    mask = np.random.default_rng(0).random(1300) < share
    mask[:start] = mask[stop:] = False
    wanted = np.flatnonzero(mask)
    query = clustered(1, DIM, clusters=1, seed=5)[0]
    cosines = clustered(1300, DIM, clusters=3, seed=1)[wanted] @ query
    assert np.allclose(rows.score(wanted, query), cosines, atol=SCORE_TOLERANCE)


@pytest.mark.parametrize("dim", [24, 512, 513])
@pytest.mark.parametrize("shift", range(0, 16, 3))
def test_a_row_is_stored_alike_wherever_it_comes_from(dim: int, shift: int) -> None:
    """Alone or among others, at any alignment: a replay must come to the same numbers."""
    block = clustered(37, dim, clusters=3, seed=1)
    whole, scales = stored(block)
    for n in (0, 17, 36):
        room = np.empty(dim + 16, dtype=np.float32)[shift : shift + dim].reshape(1, dim)
        room[:] = block[n]
        alone, scale = stored(room)
        assert np.array_equal(alone[0], whole[n])
        assert scale[0] == scales[n]


@pytest.mark.parametrize("dim", [24, 512, 513])
def test_equal_pictures_score_equally_wherever_they_are(dim: int) -> None:
    """The same vector at any place of any block has the very same score."""
    one, query = clustered(2, dim, clusters=2, seed=0)
    block = clustered(37, dim, clusters=3, seed=1)
    same = [0, 3, 17, 36]
    block[same] = one
    rows = Rows(dim, chunk_rows=16)
    put(rows, block, 0)
    scores = rows.score(np.arange(37), query)[same]
    alone = rows.score(np.array([17]), query)
    assert len({*scores.tolist(), *alone.tolist()}) == 1


@pytest.mark.parametrize(("dim", "tolerance"), [(2, 3e-5), (24, 3e-5), (512, 1e-5)])
def test_what_is_stored_is_a_unit_vector_and_scores_right(dim: int, tolerance: float) -> None:
    """Integers and a scale: no component is off by more than half a step of its row."""
    vectors = clustered(200, dim, clusters=8, seed=3)
    vectors[0] = np.eye(1, dim)
    whole, scales = stored(vectors)
    assert whole.dtype == np.int16
    again = whole.astype(np.float64) * scales[:, None]
    assert np.allclose(np.linalg.norm(again, axis=1), 1.0, atol=1e-6)
    assert np.abs(again - vectors).max() <= 1.1 * 0.5 / 32_767
    assert np.abs(again @ vectors[:20].T - vectors @ vectors[:20].T).max() < tolerance


def test_records_are_prepared_together_and_each_for_itself() -> None:
    """One that is of no use spoils no other, whatever their number and order."""
    good = clustered(3, DIM, clusters=3, seed=0)
    picture, wide = ImageVector("a", good[0]), ImageVector("b", np.ones(DIM + 1))
    kinds = {
        "good": VectorsRecord("p", ORDER, model="m", images=(picture, ImageVector("c", good[1]))),
        "none": VectorsRecord("p", ORDER, model="m"),
        "base": BaseRecord("p", ORDER),
        "offer": OfferRecord("p", ORDER),
        "gone": VectorsRecord("p", ORDER, deleted=True, images=(wide,)),
        "foreign": VectorsRecord("p", ORDER, model="other", images=(picture,)),
        "wide": VectorsRecord("p", ORDER, model="m", images=(picture, wide)),
        "nan": VectorsRecord("p", ORDER, model="m", images=(ImageVector("x", good[2] * np.nan),)),
    }
    order = np.random.default_rng(0).choice(list(kinds), 1_100)
    results = list(prepared([kinds[kind] for kind in order], DIM, "m"))
    assert [record for record, _ in results] == [kinds[kind] for kind in order]
    for kind, (_, vectors) in zip(order, results, strict=True):
        if kind in ("base", "offer", "gone"):
            assert vectors is None
        elif kind == "foreign":
            assert vectors is Outcome.FOREIGN_MODEL
        elif kind in ("wide", "nan"):
            assert vectors is Outcome.INVALID
        else:
            assert isinstance(vectors, tuple)
            wanted = good[:2] if kind == "good" else good[:0]
            assert np.allclose(vectors[0] * vectors[1][:, None], wanted, atol=SCORE_TOLERANCE)


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
    """A product without images has zero rows, of the right width."""
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
    """Half a set of images would be a wrong answer; none at all is a visible outcome."""
    images = (ImageVector("a", clustered(1, DIM, clusters=1, seed=0)[0]), ImageVector("b", bad))
    assert unit_rows(images, DIM) is None
    [(_, result)] = prepared([VectorsRecord("p", ORDER, model="m", images=images)], DIM, "m")
    assert result is Outcome.INVALID


@given(st.lists(st.booleans()), st.integers(1, 20))
def test_parts_of_as_much_work(pictured: list[bool], work: int) -> None:
    """Every record comes once and in order; a part is full with its last record, not before."""
    records = [VectorsRecord("p", ORDER) if each else OfferRecord("p", ORDER) for each in pictured]
    found = list(parts(records, work))
    assert [record for part in found for record in part] == records

    def takes(part: Sequence[Record]) -> int:
        return sum(WITH_VECTORS if isinstance(each, VectorsRecord) else 1 for each in part)

    assert all(takes(part[:-1]) < work for part in found)
    assert all(takes(part) >= work for part in found[:-1])
    assert all(found)
