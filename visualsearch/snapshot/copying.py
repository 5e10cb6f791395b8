"""The files of a snapshot, one after the other, copied from an engine that goes on working."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.engine import Engine
from visualsearch.index.arrays import CodeArray, IntArray
from visualsearch.index.frozen import Frozen
from visualsearch.index.lists import NO_LIST, Coder, ListArray
from visualsearch.snapshot.manifest import PRODUCTS, ROWS, VECTORS, Kind
from visualsearch.snapshot.products import BATCH, joined, part, schema

SLICE = 64  # products that are copied under one hold of the lock, and built with the GIL held
BLOCK_ROWS = 2_048

Progress = Callable[[str, int, int], object]


class Copy:
    """A snapshot on its way into a folder."""

    def __init__(
        self, engine: Engine, folder: Path, progress: Progress, pause: Callable[[], object]
    ) -> None:
        self.folder = folder
        self.kind: Kind = "flat"
        self.product_count = 0
        self.row_count = 0
        self._engine = engine
        self._progress = progress
        self._pause = pause
        self._frozen: Frozen | None = None
        self._rows: IntArray = np.empty(0, dtype=np.int64)  # ids in the engine
        self._slot: CodeArray = np.empty(0, dtype=np.int32)
        self._place: CodeArray = np.empty(0, dtype=np.int32)
        self._lists: ListArray = np.empty(0, dtype=np.uint16)
        self._coder: Coder | None = None

    @property
    def frozen(self) -> Frozen:
        """Return the state that is copied."""
        assert self._frozen is not None  # noqa: S101 - `freeze` is the first step
        return self._frozen

    def freeze(self) -> None:
        """Say which products are copied, and keep their rows from being used again."""
        self._frozen = self._engine.freeze()
        self.product_count = len(self._frozen)

    def products(self) -> None:
        """Write what is known of each product, and note its rows."""
        import pyarrow as pa

        total = self.product_count
        rows: list[tuple[int, ...]] = []
        with pa.OSFile(str(self.folder / PRODUCTS), "wb") as sink:  # noqa: SIM117
            with pa.ipc.new_file(sink, schema()) as file:
                for start in range(0, total, BATCH):
                    parts: list[Any] = []
                    for at in range(start, min(start + BATCH, total), SLICE):
                        copied = self.frozen.copied(at, min(SLICE, start + BATCH - at))
                        parts.append(part(copied.states))
                        rows.extend(copied.rows)
                        self._pause()
                    file.write_batch(joined(parts))
                    self._progress("products", min(start + BATCH, total), total)
        counts = np.array([len(each) for each in rows], dtype=np.int64)
        self._rows = np.array([row for each in rows for row in each], dtype=np.int64)
        self._slot = np.repeat(np.arange(total, dtype=np.int32), counts)
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        self._place = (np.arange(len(self._rows)) - firsts).astype(np.int32)
        self.row_count = len(self._rows)

    def vectors(self) -> None:
        """Write the vectors, list by list, and beside them whose they are."""
        import pyarrow as pa

        self._coder, self._lists = self.frozen.lists(self._rows)
        order = np.argsort(self._lists, kind="stable")
        self._rows, self._lists = self._rows[order], self._lists[order]
        scales = np.empty(self.row_count, dtype=np.float32)
        with (self.folder / VECTORS).open("wb", buffering=0) as file:
            for at in range(0, self.row_count, BLOCK_ROWS):
                whole, scales[at : at + BLOCK_ROWS] = self.frozen.vectors(
                    self._rows[at : at + BLOCK_ROWS]
                )
                file.write(whole.data)
                self._progress("vectors", min(at + BLOCK_ROWS, self.row_count), self.row_count)
                self._pause()
        columns = {
            "slot": self._slot[order],
            "place": self._place[order],
            "scale": scales,
            "lifestyle": self.frozen.lifestyle(self._rows),
            "list": self._lists,
        }
        table = pa.table(columns)
        with pa.OSFile(str(self.folder / ROWS), "wb") as sink:  # noqa: SIM117
            with pa.ipc.new_file(sink, table.schema) as out:
                out.write_table(table)

    def lists(self) -> None:
        """Write the inverted lists, if there are enough rows for any."""
        self._lists[:] = NO_LIST
