"""Numbers that are given out and come back, the lowest first: ids of rows, and their places."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


class LowestFirst:
    """Numbers from 0 on; of those that are free the lowest is taken first, so that few are used."""

    def __init__(self, top: int = 0) -> None:
        self.top = top  # numbers ever used at once are below it
        self._free: list[int] = []  # a heap

    @property
    def free(self) -> int:
        """Return how many below `top` are free."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Return so many numbers that nobody has."""
        taken = [heappop(self._free) for _ in range(min(count, len(self._free)))]
        first, self.top = self.top, self.top + count - len(taken)
        taken.extend(range(first, self.top))
        return taken

    def give(self, numbers: Sequence[int]) -> None:
        """Let numbers be taken again."""
        if 8 * len(numbers) > len(self._free):
            self._free.extend(numbers)
            heapify(self._free)
        else:
            for number in numbers:
                heappush(self._free, number)

    def spare(self, reserve: int) -> list[int]:
        """Take the free ones but for a reserve, ascending, until `give` brings them back."""
        self._free.sort()
        spare = self._free[reserve:]
        del self._free[reserve:]
        return spare
