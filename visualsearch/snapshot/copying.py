"""Writes the files of a snapshot one by one from an engine that keeps serving."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.engine import Engine
from visualsearch.errors import MissingLibraryError
from visualsearch.index.codes import NO_LIST, sample_rows, trained
from visualsearch.index.frozen import Frozen
from visualsearch.index.lists import Coder
from visualsearch.snapshot.coder import CoarseWriter
from visualsearch.snapshot.manifest import PRODUCTS, ROWS, VECTORS, SnapshotKind
from visualsearch.snapshot.products import BATCH, concat_batches, record_batch, schema

SLICE = 64  # products copied per hold of the lock, and converted with the GIL held
BLOCK_ROWS = 512  # gathered, written and encoded at once: about 6 ms of a core

Progress = Callable[[str, int, int], object]
Columns = dict[str, npt.NDArray[Any]]


class SnapshotCopy:
    """Copies a snapshot into a folder; call the steps in the order of `STEPS`."""

    STEPS = ("freeze", "products", "vectors", "lists")

    def __init__(
        self, engine: Engine, folder: Path, progress: Progress, pause: Callable[[], object]
    ) -> None:
        self.folder = folder
        self.product_count = 0
        self.row_count = 0
        self._engine = engine
        self._progress = progress
        self._pause = pause
        self._frozen: Frozen | None = None
        self._rows: Columns = {}
        self._lists: CoarseWriter | None = None

    @property
    def kind(self) -> SnapshotKind:
        """Return `ivfpq` if the snapshot has inverted lists, else `flat`."""
        return "flat" if self._lists is None else "ivfpq"

    @property
    def frozen(self) -> Frozen:
        """Return the frozen view that is copied."""
        assert self._frozen is not None  # noqa: S101 - `freeze` is the first step
        return self._frozen

    def freeze(self) -> None:
        """Fix the set of products to copy, and keep their rows from being reused."""
        self._frozen = self._engine.freeze()
        self.product_count = len(self._frozen)

    def products(self) -> None:
        """Write the records of each product, and collect its row numbers."""
        import pyarrow as pa

        total = self.product_count
        rows: list[npt.NDArray[np.int64]] = []
        counts: list[npt.NDArray[np.int64]] = []
        with (self.folder / PRODUCTS).open("wb", buffering=0) as sink:  # noqa: SIM117
            with pa.ipc.new_file(sink, schema()) as file:
                for start in range(0, total, BATCH):
                    parts: list[Any] = []
                    for at in range(start, min(start + BATCH, total), SLICE):
                        copied = self.frozen.copied(at, min(SLICE, start + BATCH - at))
                        parts.append(record_batch(copied.states))
                        rows.append(np.fromiter(chain.from_iterable(copied.rows), np.int64))
                        counts.append(np.fromiter(map(len, copied.rows), np.int64))
                        self._pause()
                    file.write_batch(concat_batches(parts))
                    self._progress("products", min(start + BATCH, total), total)
        self._rows = _owned(rows, counts)
        self.row_count = len(self._rows["row"])

    def vectors(self) -> None:
        """Write the vectors in the order of their lists, and encode them."""
        rows = self._rows["row"]
        coder, lists = self.frozen.lists(rows)
        if coder is None:
            coder = self._trained(rows)
        if coder is not None:
            for block in self._blocks(np.flatnonzero(lists == NO_LIST)):
                lists[block] = coder.lists_of(self.frozen.unit(rows[block]))
            self._lists = CoarseWriter(coder)
        order = np.argsort(lists, kind="stable")
        self._rows = {name: column[order] for name, column in self._rows.items()}
        rows, lists = self._rows["row"], lists[order]
        scales = np.empty(len(rows), dtype=np.float32)
        with (self.folder / VECTORS).open("wb", buffering=0) as file:
            for block in self._blocks(np.arange(len(rows))):
                whole, scales[block] = self.frozen.vectors(rows[block])
                file.write(whole.data)
                if self._lists is not None:
                    vectors = whole * scales[block, None]
                    self._lists.add(block, vectors, lists[block])
                self._progress("vectors", int(block[-1]) + 1, len(rows))
        self._rows |= {"scale": scales, "list": lists, "lifestyle": self.frozen.lifestyle(rows)}

    def lists(self) -> None:
        """Write the row table, and the inverted lists if there are any."""
        import pyarrow as pa

        table = pa.table({n: column for n, column in self._rows.items() if n != "row"})
        with (self.folder / ROWS).open("wb", buffering=0) as sink:  # noqa: SIM117
            with pa.ipc.new_file(sink, table.schema) as file:
                file.write_table(table)
        if self._lists is not None:
            self._lists.write(self.folder)

    def _blocks(self, places: npt.NDArray[np.int64]) -> Any:
        for begin in range(0, len(places), BLOCK_ROWS):
            yield places[begin : begin + BLOCK_ROWS]
            self._pause()

    def _trained(self, rows: npt.NDArray[np.int64]) -> Coder | None:
        """Train a codebook for an index without one; None for too few rows or without FAISS."""
        if self.frozen.live_rows < self.frozen.least_listed:
            return None
        sample = np.random.default_rng(len(rows)).choice(
            rows, size=sample_rows(len(rows)), replace=False
        )
        try:
            return Coder(trained(self.frozen.unit(sample), len(rows)))
        except MissingLibraryError:  # without FAISS the engine itself scans
            return None


def _owned(rows: list[npt.NDArray[np.int64]], counts: list[npt.NDArray[np.int64]]) -> Columns:
    """Return columns `row` (number), `slot` (of its product) and `place` (within the product)."""
    nothing = np.empty(0, dtype=np.int64)
    count, row = np.concatenate([nothing, *counts]), np.concatenate([nothing, *rows])
    firsts = np.repeat(np.cumsum(count) - count, count)
    return {
        "row": row,
        "slot": np.repeat(np.arange(len(count), dtype=np.int32), count),
        "place": (np.arange(len(row)) - firsts).astype(np.int32),
    }
