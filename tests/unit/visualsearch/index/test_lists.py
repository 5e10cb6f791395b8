"""The lists of codes, against exact answers on clustered data."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import clustered
from visualsearch.errors import MissingLibraryError
from visualsearch.index.codes import CENTROIDS_MOST, NO_LIST, centroids_for, trained
from visualsearch.index.curve import EFFORTS
from visualsearch.index.lists import Asked, Coder, Effort, Piece, _first, best_candidates
from visualsearch.types import FloatArray

DIM, COUNT = 32, 3_000
V = clustered(COUNT, DIM, clusters=40, seed=6)
ALL = Effort(reach=9.0, refine=1_000.0)  # every list, every candidate


@pytest.fixture(scope="module")
def coder() -> Coder:
    """Return a coder trained on a third of the vectors."""
    return Coder(trained(V[::3], COUNT))


def piece_of(coder: Coder, rows: np.ndarray, shift: int = 0) -> Piece:
    """Return a piece of these rows, whose ids begin at `shift`."""
    piece = coder.piece()
    for part in np.array_split(rows, 3):
        piece.add((part + shift).astype(np.int32), V[part], coder.lists_of(V[part]))
    return piece.complete()


def sizes_of(coder: Coder, rows: np.ndarray) -> np.ndarray:
    """Return how many of the rows each list holds."""
    return np.bincount(coder.lists_of(V[rows]), minlength=len(coder.centroids))


def truth(query: FloatArray, rows: np.ndarray, k: int) -> set[int]:
    """Return the best of the rows, exactly."""
    return set(rows[np.argsort(-(V[rows] @ query))[:k]].tolist())


def candidates(
    pieces: list[Piece], query: FloatArray, rows: np.ndarray, k: int, effort: Effort
) -> list[int]:
    """Return the candidates among these rows, by a bitmap of them unless they are all."""
    coder = pieces[0].coder
    mask = np.zeros(COUNT, dtype=np.bool_)
    mask[rows] = True
    bits = None if len(rows) == COUNT else np.packbits(mask, bitorder="little")
    found, _ = best_candidates(
        pieces, query, coder.scores(query), bits, sizes_of(coder, rows), k, effort
    )
    return found.tolist()


@pytest.mark.parametrize(
    ("rows", "count"), [(0, 16), (100, 16), (400, 32), (200_000, 512), (10**8, CENTROIDS_MOST)]
)
def test_as_many_lists_as_suit_the_rows(rows: int, count: int) -> None:
    """About the square root, and never so many that a number means no list."""
    assert centroids_for(rows) == count
    assert centroids_for(rows) <= NO_LIST


def test_a_row_is_on_the_list_of_its_nearest_centroid(coder: Coder) -> None:
    """Centroids have unit length, so that cosines order them."""
    assert np.allclose(np.linalg.norm(coder.centroids, axis=1), 1.0, atol=1e-4)
    assert np.array_equal(coder.lists_of(V), (V @ coder.centroids.T).argmax(axis=1))


def test_further_reach_raises_every_bound(coder: Coder) -> None:
    """With none at all a bound is what a list's rows score as a rule."""
    usual, wider = (coder.bounds(coder.scores(V[5]), reach) for reach in (0.0, 0.2))
    assert np.allclose(usual, coder.usual(V[5]), atol=1e-6)
    assert (wider > usual).all()


@given(
    lists=st.lists(
        st.tuples(st.floats(-1, 1, width=32), st.integers(0, 9)),
        min_size=1, max_size=200, unique_by=lambda each: each[0],
    ),
    rows=st.integers(1, 400),
)  # fmt: skip
def test_the_lists_searched_first(lists: list[tuple[float, int]], rows: int) -> None:
    """The highest bounds that hold what is wanted; none that holds nothing."""
    bounds = np.array([bound for bound, _ in lists], dtype=np.float32)
    sizes = np.array([size for _, size in lists])
    expected, held = [], 0
    for place in np.argsort(-bounds).tolist():
        if sizes[place] and held < rows:
            expected.append(place)
            held += sizes[place]
    assert _first(bounds, sizes, rows).tolist() == expected


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("split", [1, 4])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.04])
def test_the_candidates_hold_nearly_all_of_the_best(
    coder: Coder, k: int, split: int, share: float
) -> None:
    """Under a filter of any width, whatever pieces the rows lie in; none is left out wrongly."""
    rng = np.random.default_rng(k)
    every = np.arange(COUNT)
    rows = np.flatnonzero(rng.random(COUNT) < share)
    pieces = [piece_of(coder, part) for part in np.array_split(rng.permutation(every), split)]
    good = 0
    queries = rng.integers(COUNT, size=60)
    for number in queries:
        best = truth(V[number], rows, k)
        found = candidates(pieces, V[number], rows, k, EFFORTS[-1])
        assert set(found) <= set(rows.tolist()), "a row that the filter leaves out"
        assert len(set(found)) >= min(k, len(rows))
        good += len(best & set(found)) / len(best)
    assert good / len(queries) >= 0.96


def test_with_every_effort_everything_that_matches_is_a_candidate(coder: Coder) -> None:
    """Codes lose no row: they only order them."""
    pieces = [piece_of(coder, np.arange(0, 1_000)), piece_of(coder, np.arange(1_000, COUNT))]
    rows = np.arange(3, COUNT, 7)
    assert set(candidates(pieces, V[0], rows, 50, ALL)) == set(rows.tolist())
    assert set(candidates(pieces, V[0], np.arange(COUNT), 50, ALL)) == set(range(COUNT))


def test_a_bitmap_shorter_than_the_ids_leaves_the_younger_out(coder: Coder) -> None:
    """A view's bits end where its rows end; a piece may hold later ones."""
    piece = piece_of(coder, np.arange(1_000), shift=2_500)
    lists = np.arange(len(coder.centroids))
    bits = np.packbits(np.ones(2_600, dtype=np.bool_), bitorder="little")
    rows, _ = piece.search(Asked(V[0], lists, coder.scores(V[0]), bits), 1_000)
    assert sorted(rows.tolist()) == list(range(2_500, 2_600))


def test_a_young_piece_is_joined_without_coding_its_rows_again(coder: Coder) -> None:
    """Dead rows and those that have other codes by now stay behind; it is itself not changed."""
    young = coder.piece()
    young.add(np.arange(1_000, dtype=np.int32), V[:1_000], coder.lists_of(V[:1_000]))
    assert not young.young, "before it is complete"
    young.complete(young=True)
    alive = np.ones(COUNT, dtype=np.bool_)
    alive[[3, 700]] = False
    for first in (1_000, 990):  # with nothing but new rows, and with some that are used again
        new = coder.piece()
        ids, vectors = np.arange(first, 1_100, dtype=np.int32), V[2_000 : 3_100 - first]
        new.add(ids, vectors, coder.lists_of(vectors))
        new.join(young, alive)
        new.complete()
        assert not new.young
        kept = [row for row in range(first) if row not in {3, 700}]
        assert sorted(new.rows.tolist()) == [*kept, *range(first, 1_100)]
        rows, estimates = new.search(everywhere(coder, V[9]), COUNT)
        assert sorted(rows.tolist()) == sorted(new.rows.tolist())
        whole = np.concatenate([V[:first], vectors])[rows]
        assert np.abs(estimates - whole @ V[9]).mean() < 0.05
        assert young.young
        assert sorted(young.search(everywhere(coder, V[9]), COUNT)[0].tolist()) == [*range(1_000)]


def everywhere(coder: Coder, query: FloatArray) -> Asked:
    """Ask for all lists."""
    return Asked(query, np.arange(len(coder.centroids)), coder.scores(query), None)


def test_estimates_are_near_the_cosines(coder: Coder) -> None:
    """They choose candidates, and so must not be far off."""
    piece = piece_of(coder, np.arange(COUNT))
    rows, estimates = piece.search(everywhere(coder, V[9]), COUNT)
    assert sorted(rows.tolist()) == list(range(COUNT))
    assert np.abs(estimates - V[rows] @ V[9]).mean() < 0.05


def test_without_faiss_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of an import error from somewhere inside."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'visualsearch\[cpu\]'"):
        trained(V[:100], 100)
