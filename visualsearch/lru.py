"""A bounded memory, least recently used out first."""

from collections import OrderedDict
from collections.abc import ValuesView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most `size` values; beyond that, the one unused for longest goes. For one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return a value, None if it is not (or no longer) known; this counts as use."""
        if (value := self._values.get(key)) is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def values(self) -> ValuesView[V]:
        """Return all values; this is no use of them."""
        return self._values.values()

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
