"""Matches `file:` URLs to `file_roots` by their text alone, without touching a hanging mount."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

FILE = "file:"


def absolute_folders(roots: Iterable[Path]) -> list[Path]:
    """Return folders as absolute paths without `..`."""
    return [_without_dots(str(root.absolute())) for root in roots]


def file_url_path(url: str) -> Path:
    """Return the path of a `file:` URL without `..`. Raises ValueError for an invalid URL."""
    return _without_dots(unquote(urlsplit(url).path))


def matching_root(url: str, roots: Sequence[Path]) -> Path | None:
    """Return the root, of those from `absolute_folders`, that a `file:` URL points below.

    None for other URLs and other folders.
    """
    if not url.startswith(FILE):
        return None
    try:
        path = file_url_path(url)
    except ValueError:
        return None
    return next((root for root in roots if path.is_relative_to(root)), None)


def _without_dots(path: str) -> Path:
    """Return a path without `..`, links unresolved; two leading slashes become one."""
    return Path(os.path.normpath(f"/{path.lstrip('/')}" if path.startswith("/") else path))
