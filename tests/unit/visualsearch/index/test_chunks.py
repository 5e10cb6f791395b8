"""Vectors by their place: blocks of them in order, and memory that is given back."""

import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

from visualsearch.index import rows as rows_module
from visualsearch.index.arrays import IntArray
from visualsearch.index.chunks import BLOCK_ROWS, Chunks, StoredArray
from visualsearch.index.pages import Range, populate
from visualsearch.index.rows import NewRows, Rows

DIM = mmap.PAGESIZE // 8  # four rows a page
SIZE = 32


def vectors(count: int) -> StoredArray:
    """Return rows without a zero, each different."""
    return np.arange(1, count + 1, dtype=np.int16)[:, None].repeat(DIM, axis=1)


def filled(count: int) -> Chunks:
    """Return chunks that hold so many rows."""
    chunks = Chunks(DIM, SIZE)
    chunks.grow(count)
    chunks.put(np.arange(count), vectors(count))
    return chunks


def held(chunks: Chunks, rows: IntArray) -> list[int]:
    """Return the first number of each row."""
    found = np.empty(len(rows), dtype=np.int16)
    for begin, whole, wide in chunks.blocks(rows):
        assert wide.shape == whole.shape
        found[begin : begin + len(whole)] = whole[:, 0]
        assert (whole == whole[:, :1]).all()
    return found.tolist()


@pytest.mark.parametrize(
    "rows",
    [
        np.arange(700), np.arange(0, 700, 3), np.arange(31, 33), np.array([0, 31, 32, 699]),
        np.array([5, 5, 7]), np.array([0, 640]), np.empty(0, dtype=np.int64),
    ],
)  # fmt: skip
def test_rows_come_in_their_order_wherever_they_are(rows: IntArray) -> None:
    """Together in one chunk, spread over many, twice, or more than a block holds."""
    assert BLOCK_ROWS < 700
    assert held(filled(700), rows) == (rows + 1).tolist()


def test_memory_of_whole_pages_is_given_back_and_no_other() -> None:
    """Four rows share a page: those that are still in use keep theirs. New rows find room again."""
    chunks = filled(2 * SIZE)
    gone = np.array([*range(2, 14), *range(16, 19), *range(27, 45), 60])
    chunks.give_back(gone)
    dropped = [*range(4, 12), *range(28, 44)]
    expected = [0 if row in dropped else row + 1 for row in range(2 * SIZE)]
    assert held(chunks, np.arange(2 * SIZE)) == expected
    chunks.put(gone, vectors(len(gone)))
    assert held(chunks, gone) == list(range(1, len(gone) + 1))
    chunks.give_back(np.empty(0, dtype=np.int64))


def test_a_snapshots_file_is_left_alone(tmp_path: Path) -> None:
    """Its chunks are mapped: only the last one, which is not whole, is of our own memory."""
    file = tmp_path / "rows.npy"
    np.save(file, vectors(SIZE + 8))
    chunks = Chunks(DIM, SIZE)
    chunks.adopt(np.load(file, mmap_mode="c"))
    chunks.give_back(np.arange(SIZE + 8))
    assert held(chunks, np.arange(SIZE + 8)) == [*range(1, SIZE + 1), *([0] * 8)]
    chunks.grow(3 * SIZE)
    chunks.put(np.array([2 * SIZE]), vectors(1))
    assert chunks.row(2 * SIZE)[0] == 1


def test_vectors_come_to_the_lowest_places_and_a_reserve_of_these_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rows have died others lie at once, whatever their ids; what is spare is nobody's."""
    monkeypatch.setattr(rows_module, "RESERVE", 3)
    rows = Rows(DIM, chunk_rows=SIZE)

    def put(count: int) -> tuple[list[int], list[int]]:
        whole, scales = vectors(count), np.ones(count, dtype=np.float32)
        added = rows.write([NewRows(0, rows.take(count), whole, scales, [False] * count)])
        assert [int(row[0]) for row in rows.raw(added)[0]] == list(range(1, count + 1))
        return added.tolist(), rows.places_of(added)

    assert put(12) == (list(range(12)), list(range(12)))
    rows.vacate([9, 1, 11])
    rows.vacate([4])
    rows.vacate([7, 0])
    assert put(1) == ([12], [0])
    spare = rows.spare()
    assert spare == [9, 11]
    rows.give_back(spare)
    assert put(4) == ([13, 14, 15, 16], [1, 4, 7, 12])
    rows.vacate(spare)
    rows.free([2, 5])
    assert put(3) == ([2, 5, 17], [9, 11, 13])


def resident(ranges: list[Range]) -> list[bool]:
    """Return whether each page has memory behind it (`man mincore`)."""
    found: list[bool] = []
    for first, stop in ranges:
        pages = (ctypes.c_ubyte * ((stop - first) // mmap.PAGESIZE))()
        length = ctypes.c_size_t(stop - first)
        assert ctypes.CDLL(None).mincore(ctypes.c_void_p(first), length, pages) == 0
        found += [bool(page & 1) for page in pages]
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a hint to Linux")
def test_rows_ahead_have_memory_before_they_come() -> None:
    """Writing to them waits for no page, and what is there already stays as it is."""
    dim, room = 512, 8_192
    rows = Rows(dim, chunk_rows=16 * room)
    assert rows.short

    def put(count: int) -> None:
        whole, scales = np.ones((count, dim), dtype=np.int16), np.ones(count, dtype=np.float32)
        rows.write([NewRows(0, rows.take(count), whole, scales, [False] * count)])

    put(room // 2)
    ahead = rows.reach()
    assert not rows.short
    pages = resident(ahead)
    assert pages.count(False) > len(pages) // 2
    populate(ahead)
    assert all(resident(ahead))
    assert (rows._chunks.row(room // 2 - 1) == 1).all()
    put(room // 2)
    assert not rows.short
    put(1)
    assert rows.short
    assert rows.reach()[0][0] >= ahead[-1][1] - mmap.PAGESIZE, "no page twice"


def test_memory_ahead_goes_from_chunk_to_chunk() -> None:
    """Whole pages that hold these rows, of two chunks."""
    chunks = Chunks(DIM, SIZE)
    (one, other) = chunks.reach(SIZE - 6, SIZE + 3)
    assert [(stop - first) // mmap.PAGESIZE for first, stop in (one, other)] == [2, 1]
    assert all(edge % mmap.PAGESIZE == 0 for edge in (*one, *other))
    chunks.put(np.arange(SIZE + 3), vectors(SIZE + 3))
    populate([one, other])
    assert held(chunks, np.arange(SIZE + 3)) == list(range(1, SIZE + 4))
