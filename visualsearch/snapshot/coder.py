"""Centroids, code books and coarse codes on disk: `index.ivfpq` and, beside it, `coder.npz`.

The first is FAISS's own, of half the codes that searches are served from (64 bytes a row of 512
dimensions). Row ids are the rows' places in the snapshot. The second has what FAISS does not know.
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
    """Codes rows coarsely, to be written as one index."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._index: Any = coarse_index(coder.book, coder.quantizer)

    def add(self, ids: IntArray, vectors: FloatArray, lists: ListArray) -> None:
        """Code unit rows that belong to these lists."""
        add_coded(self._index, ids, vectors, lists)

    def write(self, folder: Path) -> None:
        """Write both files."""
        (folder / LISTS).write_bytes(index_bytes(self._index))
        book = self._coder.book
        with (folder / CODER).open("wb") as file:
            np.savez(
                file, rows=book.rows, along=book.along, fine=book.fine, misfit=book.misfit,
            )  # fmt: skip


def read_piece(folder: Path, rows: int) -> Piece:
    """Return the coarse piece of `rows` rows. Raises MissingLibraryError, ValueError, others."""
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
