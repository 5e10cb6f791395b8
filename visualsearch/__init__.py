"""Index product pictures as they change, and search them by picture, by words, or by both."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visualsearch.encoders import load_encoder
    from visualsearch.engine import Engine

__all__ = ["Engine", "__version__", "load_encoder"]

__version__ = "0.1.0"  # the one place: pyproject.toml reads it

_HOMES = {"Engine": "visualsearch.engine", "load_encoder": "visualsearch.encoders"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
