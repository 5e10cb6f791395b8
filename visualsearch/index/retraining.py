"""All rows on new lists: a coder is trained and codes them, while the former one's lists serve.

Both take seconds, in which thousands of rows may come: these go on the former lists first, so that
no search has to scan them, and on the new ones before those are swapped in.
"""

from collections.abc import Callable

import numpy as np

from visualsearch.index.arrays import CodeArray, RowQueue
from visualsearch.index.codes import Training
from visualsearch.index.coding import Coding
from visualsearch.index.lists import Coder

FEW = 2_048  # rows that came meanwhile: these may wait for lists after the swap
CATCH_UPS = 4  # at most: rows may come faster than they are coded twice

Code = Callable[[Coder, CodeArray], Coding]


class Retraining:
    """One thread's; who publishes it holds the engine's lock."""

    def __init__(self, training: Training, *, serving: bool) -> None:
        """Begin; `serving` says whether there are former lists."""
        self.coder: Coder | None = None
        self.codings: list[Coding] = []
        self._training = training
        self._serving = serving
        self._begun = 0  # the place in the queue of the first row that is not in the first coding
        self._later: list[CodeArray] = []  # rows after it that were put on former lists

    def train(self) -> None:
        """Do a step of the training; the last one makes the coder."""
        book = next(self._training)
        self.coder = None if book is None else Coder(book)

    def begin(self, coding: Coding, queue: RowQueue) -> None:
        """Code these rows, which are all that are in use."""
        self.codings = [coding]
        self._begun = queue.popped + len(queue)

    def listed(self, queue: RowQueue, taken: int) -> None:
        """Note the rows that are about to leave the queue, for they are on former lists."""
        if self.codings:
            self._later.append(queue.waiting()[:taken][max(0, self._begun - queue.popped) :].copy())

    def step(self, code: Code) -> int:
        """Code some rows; return how many, 0 when those that are left are few."""
        if not self.codings[-1].finished:
            return 1 + self.codings[-1].step()
        late = self._late()
        if not self._serving or len(late) <= FEW or len(self.codings) > CATCH_UPS:
            return 0
        assert self.coder is not None  # noqa: S101 - it codes
        self._later = []
        self.codings.append(code(self.coder, late))
        return 1

    def left(self, queue: RowQueue) -> CodeArray:
        """Return the rows that must wait for the new lists."""
        waiting = queue.waiting()[max(0, self._begun - queue.popped) :]
        return np.concatenate([self._late(), waiting])

    def _late(self) -> CodeArray:
        return np.concatenate([np.empty(0, dtype=np.int32), *self._later])
