"""Where below `file_roots` a `file:` URL points, by its text alone: a hung mount is not touched."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

FILE = "file:"


def path_of(url: str) -> Path:
    """Return the path of a `file:` URL. Raises ValueError for what is no URL."""
    return Path(unquote(urlsplit(url).path))


def root_of(url: str, roots: Sequence[Path]) -> Path | None:
    """Return the root that a `file:` URL names; None for other URLs and other folders."""
    if not url.startswith(FILE):
        return None
    try:
        path = path_of(url)
    except ValueError:
        return None
    return next((root for root in roots if path.is_relative_to(root)), None)
