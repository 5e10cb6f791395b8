"""Numbers that are given out and come back, the lowest first: ids of rows, and their places."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


class LowestFirst:
    """Numbers from 0 on; of those that are free the lowest is taken first, so that few are used.

    Its length is how many are taken.
    """

    def __init__(self, top: int = 0) -> None:
        self.top = top  # numbers ever used at once are below it
        self._free: list[int] = []  # a heap
        self._back: list[int] = []  # free ones that are not yet in it: who deletes need not wait

    @property
    def free(self) -> list[int]:
        """Return those below `top` that are free, in no order."""
        return self._free + self._back

    def __len__(self) -> int:
        return self.top - len(self._free) - len(self._back)

    def take(self, count: int) -> list[int]:
        """Return so many numbers that nobody has."""
        if self._back:
            self._sort_in()
        taken = [heappop(self._free) for _ in range(min(count, len(self._free)))]
        first, self.top = self.top, self.top + count - len(taken)
        taken.extend(range(first, self.top))
        return taken

    def give(self, numbers: Sequence[int]) -> None:
        """Let numbers be taken again."""
        self._back.extend(numbers)

    def spare(self, reserve: int) -> list[int]:
        """Take the free ones but for a reserve, ascending, until `give` brings them back."""
        free = sorted(self.free)
        self._free, self._back = free[:reserve], []
        return free[reserve:]

    def _sort_in(self) -> None:
        if 8 * len(self._back) > len(self._free):
            self._free.extend(self._back)
            heapify(self._free)
        else:
            for number in self._back:
                heappush(self._free, number)
        self._back = []
