"""Centroids, codebooks and coarse codes on disk: `index.ivfpq` and `coder.npz`.

`index.ivfpq` is a FAISS index of the coarse codes, half of the codes that searches use (64 bytes
a row of 512 dimensions). Its ids are row numbers of the snapshot. `coder.npz` holds the rest of
the codebook, which FAISS has no place for.
"""

from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.index.arrays import IntArray
from visualsearch.index.codes import (
    Book,
    ListArray,
    add_coded,
    coarse_books,
    coarse_index,
    index_bytes,
    read_index,
)
from visualsearch.index.lists import Coder, Piece
from visualsearch.snapshot.manifest import CODER, LISTS
from visualsearch.types import FloatArray


class CoarseWriter:
    """Builds one FAISS index of coarse codes and writes it."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._index: Any = coarse_index(coder.book, coder.quantizer)

    def add(self, ids: IntArray, vectors: FloatArray, lists: ListArray) -> None:
        """Encode unit vectors, float32 (n, dim), into their `lists`, (n,)."""
        add_coded(self._index, ids, vectors, lists)

    def write(self, folder: Path) -> None:
        """Write `index.ivfpq` and `coder.npz`. Raises OSError."""
        (folder / LISTS).write_bytes(index_bytes(self._index))
        book = self._coder.book
        with (folder / CODER).open("wb") as file:
            np.savez(
                file, rows=book.rows, along=book.along, fine=book.fine, misfit=book.misfit,
            )  # fmt: skip


def read_piece(folder: Path, rows: int) -> Piece:
    """Return the segment of coarse codes, whose ids are 0 to `rows` - 1.

    Raises MissingLibraryError without FAISS, ValueError for another number of rows, and what FAISS
    and NumPy raise for damaged files.
    """
    index = read_index(str(folder / LISTS))
    if index.ntotal != rows:
        raise ValueError(f"{LISTS} has {index.ntotal} rows instead of {rows}")
    centroids, coarse = coarse_books(index)
    with np.load(folder / CODER, allow_pickle=False) as kept:
        book = Book(
            rows=int(kept["rows"]),
            centroids=centroids,
            along=kept["along"],
            fine=kept["fine"],
            coarse=coarse,
            misfit=float(kept["misfit"]),
        )
    coder = Coder(book)
    piece = Piece(coder, index, coarse=True)
    piece.rows = np.arange(rows, dtype=np.int32)
    return piece.complete()
