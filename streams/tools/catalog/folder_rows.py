"""A folder of category folders: each image is a product."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from streams.tools.catalog.rows import RejectedRow, Row

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
_LONGEST_ID = 200
_UNSAFE = re.compile(r"[^\w./-]+")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def image_files(folder: Path) -> list[PurePath]:
    """Return the paths of images below a folder, relative to it, sorted, without hidden ones."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            PurePath(root, name).relative_to(folder)
            for name in names
            if PurePath(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)


def folder_rows(folder: Path, files: Sequence[PurePath]) -> Iterator[Row | RejectedRow]:
    """Yield a product per image: its folder is the category, its name the title."""
    for position, file in enumerate(files, 1):
        try:
            str(file).encode()
        except UnicodeEncodeError:
            where = ascii(str(file))
            yield RejectedRow(where, "not_utf8", "the file's name is not UTF-8", position=position)
            continue
        yield Row(str(folder / file), position, _product(file))


def _product(file: PurePath) -> dict[str, Any]:
    category = file.parent.as_posix()
    product = {
        "product_id": product_id_of_path(file),
        "title": _BETWEEN_WORDS.sub(" ", file.stem).strip() or file.stem,
        "images": [{"path": str(file)}],
    }
    return product if category == "." else product | {"category": category}


def product_id_of_path(file: PurePath) -> str:
    """Make a product id of a relative path: no blanks, no suffix, at most the allowed length.

    The same path gives the same id in every run, so that loading a folder again updates it.
    """
    path = file.with_suffix("").as_posix()
    name = _UNSAFE.sub("-", path)
    if len(name) <= _LONGEST_ID:
        return name
    return f"{name[:_LONGEST_ID]}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
