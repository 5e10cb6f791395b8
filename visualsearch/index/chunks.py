"""Vectors by their place, in chunks of memory of their own: what is no longer used goes back.

They grow without being copied, and searches go on reading meanwhile.
"""

import mmap
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import IntArray
from visualsearch.index.pages import HUGE, Range
from visualsearch.types import FloatArray

StoredArray = npt.NDArray[np.int16]
BLOCK_ROWS = 512  # widened rows that stay in the cache while gemv reads them


class Chunks:
    """Rows of `dim` integers by places from 0 on; `size` of them lie together."""

    def __init__(self, dim: int, size: int) -> None:
        self.dim = dim
        self._size = size
        self._chunks: list[StoredArray] = []
        self._maps: list[mmap.mmap | None] = []  # of each chunk; None of one of a snapshot's file
        self._buffers = threading.local()

    def grow(self, count: int) -> None:
        """Make room for the places below `count`; what no row has touched takes no memory."""
        while count > len(self._chunks) * self._size:
            taken = mmap.mmap(
                -1, self._size * self.dim * 2, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            )
            if HUGE is not None:  # rows are read from anywhere: fewer misses of the page tables
                taken.madvise(HUGE)
            self._maps.append(taken)
            self._chunks.append(np.frombuffer(taken, dtype=np.int16).reshape(-1, self.dim))

    def adopt(self, whole: StoredArray) -> None:
        """Take the rows of a snapshot for places from 0 on; nothing may have been stored before.

        Whole chunks are those of the snapshot's file, mapped: a page is read when it is first
        used, and copied when it is first written. Only the last one is copied now.
        """
        filled = len(whole) - len(whole) % self._size
        self._chunks = [whole[at : at + self._size] for at in range(0, filled, self._size)]
        self._maps = [None] * len(self._chunks)
        if len(whole) > filled:
            self.grow(len(whole))
            self._chunks[-1][: len(whole) - filled] = whole[filled:]

    def reach(self, begin: int, stop: int) -> list[Range]:
        """Return the memory of the places in between, to `populate` before rows come to it.

        The first row of a page waits for the system to clear it: half a millisecond, where the
        system has it at hand, and in a virtual machine ten.
        """
        self.grow(stop)
        ranges: list[Range] = []
        at, page = begin, mmap.PAGESIZE
        while at < stop:
            chunk = self._chunks[at // self._size]
            end = min(stop, (at // self._size + 1) * self._size)
            address = chunk.ctypes.data
            first = address + (at % self._size) * 2 * self.dim
            last = address + ((end - 1) % self._size + 1) * 2 * self.dim
            ranges.append((first // page * page, -(-last // page) * page))
            at = end
        return ranges

    def put(self, rows: IntArray, whole: StoredArray) -> None:
        """Store rows by their places, in any order."""
        chunk_of = rows // self._size
        if (chunk_of == chunk_of[0]).all():
            self._chunks[chunk_of[0]][rows % self._size] = whole
        else:
            for row, vector in zip(rows.tolist(), whole, strict=True):
                self.row(row)[:] = vector

    def row(self, row: int) -> StoredArray:
        """Return one row, not a copy of it."""
        found: StoredArray = self._chunks[row // self._size][row % self._size]
        return found

    def blocks(self, rows: IntArray) -> Iterator[tuple[int, StoredArray, FloatArray]]:
        """Yield (position, stored rows, room for as many floats) over ascending places.

        As many at a time as the cache holds; they are there until the next ones are asked for.
        """
        gathered, wide = self._buffer
        for begin in range(0, len(rows), BLOCK_ROWS):
            places = rows[begin : begin + BLOCK_ROWS]
            first, last = int(places[0]), int(places[-1])
            low, high = first // self._size, last // self._size
            together = low == high and last - first + 1 == len(places)
            if together and (np.diff(places) == 1).all():  # no place twice either
                at = first - low * self._size
                yield begin, self._chunks[low][at : at + len(places)], wide[: len(places)]
            else:
                self._gather(places, range(low, high + 1), gathered)
                yield begin, gathered[: len(places)], wide[: len(places)]

    def _gather(self, places: IntArray, chunks: Sequence[int], out: StoredArray) -> None:
        borders = self._size * (np.array(chunks[1:], dtype=np.int64))
        stops = [*np.searchsorted(places, borders).tolist(), len(places)]
        start = 0
        for chunk, stop in zip(chunks, stops, strict=True):
            if stop > start:
                inside = places[start:stop] - chunk * self._size
                # "clip", for with "raise" it would fill a buffer of its own first
                self._chunks[chunk].take(inside, axis=0, out=out[start:stop], mode="clip")
            start = stop

    @property
    def _buffer(self) -> tuple[StoredArray, FloatArray]:
        """Return this thread's blocks; new ones for each search would fault their pages."""
        blocks: tuple[StoredArray, FloatArray] | None = getattr(self._buffers, "blocks", None)
        if blocks is None:
            shape = (BLOCK_ROWS, self.dim)
            blocks = np.empty(shape, dtype=np.int16), np.empty(shape, dtype=np.float32)
            self._buffers.blocks = blocks
        return blocks

    def give_back(self, rows: IntArray) -> None:
        """Give the pages back that hold nothing but these rows, ascending; they are lost."""
        width = 2 * self.dim
        edges = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        lengths = np.diff(edges, append=len(rows))
        for first, length in zip(rows[edges].tolist(), lengths.tolist(), strict=True):
            at, stop = first, first + length
            while at < stop:
                chunk = at // self._size
                end = min(stop, (chunk + 1) * self._size)
                begin = -(-(at - chunk * self._size) * width // mmap.PAGESIZE) * mmap.PAGESIZE
                bytes_ = (end - chunk * self._size) * width // mmap.PAGESIZE * mmap.PAGESIZE - begin
                taken = self._maps[chunk]
                if taken is not None and bytes_ > 0:
                    taken.madvise(mmap.MADV_DONTNEED, begin, bytes_)
                at = end
