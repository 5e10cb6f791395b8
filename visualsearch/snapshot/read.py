"""Restoring a snapshot: checksums first, then memory-mapped files; it takes seconds."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.engine import Engine
from visualsearch.errors import MissingLibraryError
from visualsearch.index.arrays import CodeArray
from visualsearch.index.codes import NO_LIST
from visualsearch.index.frozen import Saved
from visualsearch.index.lists import Piece
from visualsearch.index.rows import NO_ROW, SavedRows
from visualsearch.snapshot.coder import read_piece
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.manifest import (
    PRODUCTS,
    ROWS,
    VECTORS,
    Manifest,
    check_file,
    check_sizes,
    read_manifest,
)
from visualsearch.snapshot.products import ArrowShelf


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored engine, its manifest, and the seconds of each step."""

    engine: Engine
    manifest: Manifest
    seconds: dict[str, float]


def restore(
    path: Path,
    *,
    model: str,
    dim: int,
    timer: Callable[[], float] = time.perf_counter,
    **options: Any,
) -> Restored:
    """Return an engine with the state of the snapshot in the folder `path`.

    `options` are those of `Engine`. The engine searches at once with the inverted lists, or by
    scans if there are none; its background writer builds the graphs. The files stay mapped while
    the engine lives.

    Raises SnapshotError, the only error it raises for a snapshot.
    """
    try:
        return _restore(path, model, dim, timer, options)
    except SnapshotError:
        raise
    except Exception as error:  # right checksums, wrong contents: a fault of the writer
        raise SnapshotError(f"{path.name} cannot be read: {error!r}") from error


def check(path: Path) -> Manifest:
    """Check the sizes and checksums of all files of a snapshot; return its manifest.

    Raises SnapshotError: `file_missing`, `checksum_wrong`, `format_newer`, `unreadable`.
    """
    manifest = read_manifest(path)
    check_sizes(path, manifest)
    for name, file in manifest.files.items():
        check_file(path, name, file)
    return manifest


def _restore(
    path: Path, model: str, dim: int, timer: Callable[[], float], options: dict[str, Any]
) -> Restored:
    seconds: dict[str, float] = {}
    begin = timer()

    def took(step: str) -> None:
        nonlocal begin
        now = timer()
        seconds[step], begin = now - begin, now

    manifest = read_manifest(path)
    check_sizes(path, manifest)
    if (manifest.model, manifest.dim) != (model, dim):
        raise SnapshotError(
            f"the snapshot is of {manifest.model} with {manifest.dim} dimensions, "
            f"not of {model} with {dim}",
            code="model_foreign",
        )
    with ThreadPoolExecutor(max_workers=2) as threads:
        checks = {
            name: threads.submit(check_file, path, name, file)
            for name, file in sorted(manifest.files.items())
        }
        vectors = checks.pop(VECTORS)  # nine tenths of the bytes; mapped without reading them
        for checked in checks.values():
            checked.result()
        took("checksums")
        shelf = ArrowShelf(path / PRODUCTS)
        rows, first = _rows(path, manifest)
        took("rows")
        rows, piece = _listed(path, manifest, rows)
        took("lists")
        engine = Engine(model, dim, **options)
        engine.adopt(Saved(shelf, rows, first, shelf.searchable(), piece))
        took("products")
        vectors.result()
        took("vectors")
    return Restored(engine, manifest, seconds)


def _listed(path: Path, manifest: Manifest, rows: SavedRows) -> tuple[SavedRows, Piece | None]:
    """Return the rows and their segment; without FAISS, None and all rows unlisted."""
    if manifest.index == "flat":
        return rows, None
    try:
        return rows, read_piece(path, manifest.rows)
    except MissingLibraryError:
        return rows._replace(list_of=np.full_like(rows.list_of, NO_LIST)), None


def _rows(path: Path, manifest: Manifest) -> tuple[SavedRows, CodeArray]:
    """Return the rows, and each product's first row or NO_ROW, int32 (products,)."""
    import pyarrow as pa

    with pa.memory_map(str(path / ROWS)) as source:
        table = pa.ipc.open_file(source).read_all()
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    count = manifest.rows
    whole = np.zeros((0, manifest.dim), dtype=np.int16)
    if count:
        shape = (count, manifest.dim)
        # Copy-on-write. As a plain array: each slice of a memmap costs a microsecond more.
        whole = np.asarray(np.memmap(path / VECTORS, np.int16, mode="c", shape=shape))
    slot = columns["slot"]
    order = np.lexsort((columns["place"], slot))
    ranked = slot[order]
    following = np.full(count, NO_ROW, dtype=np.int32)
    same = ranked[1:] == ranked[:-1]
    following[order[:-1][same]] = order[1:][same]
    first = np.full(manifest.products, NO_ROW, dtype=np.int32)
    heads = np.flatnonzero(columns["place"] == 0)
    first[slot[heads]] = heads
    saved = SavedRows(
        whole=whole,
        scales=columns["scale"].copy(),
        slot=slot.copy(),
        next=following,
        lifestyle=columns["lifestyle"].copy(),
        list_of=columns["list"].copy(),
    )
    return saved, first
