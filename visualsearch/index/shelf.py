"""Products of a snapshot, which are read when they are first asked for."""

from collections.abc import Sequence
from typing import Protocol

from visualsearch.index.columns import Columns
from visualsearch.index.state import ProductState


class Shelf(Protocol):
    """Products in the order of their slots; immutable, and read by any thread."""

    def names(self) -> list[str]:
        """Return the ids of all products."""
        ...

    def columns(self) -> Columns:
        """Return what filters ask of all products."""
        ...

    def read(self, slots: Sequence[int]) -> list[ProductState]:
        """Return what is known of these products."""
        ...
