"""A bounded LRU cache."""

from collections import OrderedDict
from collections.abc import ValuesView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Keeps at most `size` values and evicts the least recently used. Not thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return a value and mark it as used; None if it is absent or evicted."""
        if (value := self._values.get(key)) is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value and mark it as used; evict the least recently used beyond `size`."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def values(self) -> ValuesView[V]:
        """Return all values without marking them as used."""
        return self._values.values()

    def clear(self) -> None:
        """Remove all values."""
        self._values.clear()
