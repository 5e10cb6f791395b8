"""Pieces of the lists: how they are made, when they are joined, and which are superseded."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.support.strategies import clustered
from visualsearch.index.arrays import CodeArray
from visualsearch.index.codes import NO_LIST, ListArray, trained
from visualsearch.index.coding import STEP_ROWS, Coding, superseded, to_join
from visualsearch.index.lists import Coder
from visualsearch.index.rows import NewRows, Rows, stored

DIM, COUNT = 16, 1_500
V = clustered(COUNT, DIM, clusters=12, seed=5)


@dataclass(frozen=True)
class Coded:
    """The rows of a piece, which are all that the policy looks at."""

    rows: np.ndarray = field(repr=False)


def piece(start: int, stop: int) -> Coded:
    """Return a piece of these rows."""
    return Coded(np.arange(start, stop, dtype=np.int32))


def alive_but(*dead: int) -> np.ndarray:
    """Return a mask of a thousand rows."""
    alive = np.ones(1_000, dtype=np.bool_)
    alive[list(dead)] = False
    return alive


@pytest.mark.parametrize(
    ("pieces", "dead", "joined"),
    [
        ([], [], []),
        ([piece(0, 10), piece(10, 30), piece(30, 70)], [], []),
        ([piece(10 * n, 10 * n + 10) for n in range(5)], [], [0, 1]),
        ([piece(0, 40), piece(40, 55), piece(60, 75)], [], [1, 2]),
        ([piece(40 * n, 40 * n + 40) for n in range(4)], [], [0, 1]),
        ([piece(0, 10)], range(5), []),  # at least half of what makes a piece must be dead
        ([piece(0, 10)], range(6), [0]),
        ([piece(0, 100)], range(20), []),
        ([piece(0, 40), piece(40, 140)], range(50, 71), [1]),
        ([piece(0, 10)], range(10), [0]),
    ],
)
def test_the_policy_of_joining(pieces: list[Coded], dead: list[int], joined: list[int]) -> None:
    """Two of about a size, in tiers of two times; one with too many dead rows at once."""
    assert to_join(pieces, alive_but(*dead), 10) == tuple(pieces[n] for n in joined)


def test_joining_ends() -> None:
    """Whatever is joined, few pieces are left and none that should be joined."""
    pieces: list[Coded] = []
    alive = np.ones(4_000, dtype=np.bool_)
    for n in range(400):
        pieces.append(piece(10 * n, 10 * n + 10))
        while joined := to_join(pieces, alive, 10):
            rows = np.concatenate([one.rows for one in joined])
            pieces = [p for p in pieces if not any(p is j for j in joined)] + [Coded(rows)]
    assert sum(len(one.rows) for one in pieces) == 4_000
    assert len(pieces) <= 3 * 6


def test_a_piece_is_superseded_when_nothing_of_it_is_alive_elsewhere() -> None:
    """Dead rows do not keep it."""
    pieces = [piece(0, 10), piece(10, 20), piece(20, 30)]
    rows = np.arange(0, 15)
    assert superseded(pieces, rows, alive_but()) == pieces[:1]
    assert superseded(pieces, rows, alive_but(15, 16, 17, 18, 19)) == pieces[:2]


@pytest.fixture(scope="module")
def coder() -> Coder:
    """Return a coder of the vectors."""
    return Coder(trained(V, COUNT))


def storage() -> Rows:
    """Return all vectors as rows."""
    rows = Rows(DIM, chunk_rows=256)
    rows.write([NewRows(0, rows.take(COUNT), *stored(V), [False] * COUNT)])
    return rows


def on_none(rows: CodeArray) -> ListArray:
    """Say that no list holds the rows."""
    return np.full(len(rows), NO_LIST, dtype=np.uint16)


def test_rows_are_coded_in_steps_each_once(coder: Coder) -> None:
    """Dead and repeated ones are left out from the start; each row is on its nearest list."""
    rows = storage()
    rows.alive[[3, 4]] = False
    ids = np.array([*range(1_100), 5, 5], dtype=np.int32)
    coding = Coding(coder, ids, rows, on_none, taken=len(ids))
    done = []
    while not coding.finished:
        done.append(coding.step())
    assert done == [STEP_ROWS, STEP_ROWS, 1_098 - 2 * STEP_ROWS]
    assert coding.taken == 1_102
    made = coding.piece.complete()
    assert sorted(made.rows.tolist()) == sorted(set(range(1_100)) - {3, 4})
    assert np.mean(coding.lists == coder.lists_of(V[coding.rows])) > 0.99  # rounding may move some


def test_rows_stay_on_the_lists_that_they_are_on(coder: Coder) -> None:
    """When pieces become one, only rows that are on none are looked at again."""
    lists = np.full(COUNT, NO_LIST, dtype=np.uint16)
    lists[:500] = 3
    ids, rows = np.arange(900, dtype=np.int32), storage()
    for replaces in ((coder.piece(),), ()):
        coding = Coding(coder, ids, rows, lambda rows: lists[rows], replaces=replaces)
        while not coding.finished:
            coding.step()
        nearest = coder.lists_of(rows.unit(ids.astype(np.int64)))
        assert np.array_equal(coding.lists[500:], nearest[500:])
        assert np.array_equal(coding.lists[:500], lists[:500] if replaces else nearest[:500])


def test_a_coding_of_nothing_ends(coder: Coder) -> None:
    """All rows of a piece may be dead when its turn comes."""
    rows = storage()
    rows.alive[:] = False
    coding = Coding(coder, np.arange(10, dtype=np.int32), rows, on_none)
    assert coding.step() == 0
    assert coding.finished
    assert len(coding.piece.complete().rows) == 0
