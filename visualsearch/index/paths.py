"""Categories as paths: `Women/Dresses/Midi` lies within `Women/Dresses` and within `Women`."""

from collections.abc import Iterator

SEPARATOR = "/"


def prefixes(path: str) -> Iterator[str]:
    """Give the path itself and all that it lies within, the longest first."""
    yield path
    while (end := path.rfind(SEPARATOR)) > 0:
        path = path[:end]
        yield path


def within(path: str | None, wanted: str) -> bool:
    """Return whether a category is the wanted one or below it; unknown lies within nothing."""
    return path is not None and wanted in prefixes(path)
