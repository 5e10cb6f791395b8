"""Open a catalog by what it is: a folder of category folders, JSONL or CSV."""

from pathlib import Path

from streams.tools.catalog.csv_rows import csv_rows
from streams.tools.catalog.folder_rows import folder_rows, image_files
from streams.tools.catalog.jsonl_rows import jsonl_rows
from streams.tools.catalog.rows import Catalog, CatalogError

_TABLES = {".csv", ".tsv"}
_LINES = {".jsonl", ".ndjson"}


def open_catalog(path: Path) -> Catalog:
    """Return the rows of a catalog, read as they are asked for. Raises CatalogError."""
    if path.is_dir():
        files = image_files(path)
        if not files:
            raise CatalogError(f"{path}: no images in this folder or below it")
        return Catalog(folder_rows(path, files), path, len(files))
    if not path.is_file():
        raise CatalogError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix in _LINES:
        rows = jsonl_rows(path)
    elif suffix in _TABLES:
        rows = csv_rows(path)
    else:
        known = ", ".join(sorted(_LINES | _TABLES))
        raise CatalogError(f"{path}: a catalog is a folder of images or a file in {known}")
    return Catalog(rows, path.parent, path.stat().st_size)
