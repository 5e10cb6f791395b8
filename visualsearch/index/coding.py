"""Putting rows on the lists, in steps: new ones, or those of pieces again."""

from collections.abc import Callable, Sequence

import numpy as np

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, ascending
from visualsearch.index.codes import NO_LIST, NO_LISTS, ListArray
from visualsearch.index.lists import Coder, Piece
from visualsearch.index.merge import DEAD_SHARE
from visualsearch.index.rows import Rows

STEP_ROWS = 512  # some 20 ms of a core
JOINED = 2  # pieces of about a size become one: each piece costs a search 0.1 ms
MOST_ROWS = 16_384  # of new rows in one piece: the first ones should not wait for the last


class Coding:
    """A piece on its way: rows that were alive when it began."""

    def __init__(
        self,
        coder: Coder,
        rows: CodeArray,
        storage: Rows,
        lists_of: Callable[[CodeArray], ListArray],
        *,
        near: ListArray = NO_LISTS,
        taken: int = 0,
        replaces: Sequence[Piece] = (),
    ) -> None:
        """Begin; `near` has the lists of the first of the rows, as far as they are known."""
        self.coder = coder
        self.piece: Piece = coder.piece()
        alive = storage.alive[rows]
        self.rows: CodeArray = ascending(rows[alive]).astype(np.int32)
        self.lists: ListArray = np.full(len(self.rows), NO_LIST, dtype=np.uint16)
        if len(near):
            lists = np.full(len(rows), NO_LIST, dtype=np.uint16)
            lists[: len(near)] = near
            # An id used again comes twice: what was written last, its new picture's, stays.
            self.lists[np.searchsorted(self.rows, rows[alive])] = lists[alive]
        self.taken = taken  # from the queue
        # They go for good: what they have and this one has not was used again meanwhile, and waits
        # for lists as the new rows that it is.
        self.replaces = tuple(replaces)
        self._storage = storage
        self._lists_of = lists_of  # that the rows are on now
        self._done = 0

    @property
    def finished(self) -> bool:
        """Return whether every row is coded."""
        return self._done >= len(self.rows)

    def step(self) -> int:
        """Code the next rows; return how many."""
        rows = self.rows[self._done : self._done + STEP_ROWS]
        lists = self.lists[self._done : self._done + STEP_ROWS]
        if self.replaces:
            lists[:] = self._lists_of(rows)
        vectors = self._storage.unit(rows.astype(np.int64))
        missing = lists == NO_LIST
        lists[missing] = self.coder.lists_of(vectors[missing])
        self.piece.add(rows, vectors, lists)
        self._done += len(rows)
        return len(rows)


def to_join(pieces: Sequence[Piece], alive: BoolArray, least: int) -> tuple[Piece, ...]:
    """Return pieces to code again as one: one that is dead in part, or two of about a size."""
    for piece in pieces:
        dead = len(piece.rows) - int(np.count_nonzero(alive[piece.rows]))
        if dead > max(DEAD_SHARE * len(piece.rows), least // 2):
            return (piece,)
    tiers: dict[int, list[Piece]] = {}
    for piece in pieces:
        tier = int(np.log2(max(1.0, len(piece.rows) / least)) / np.log2(JOINED))
        tiers.setdefault(tier, []).append(piece)
    full = [tier for tier, members in sorted(tiers.items()) if len(members) >= JOINED]
    return tuple(tiers[full[0]][:JOINED]) if full else ()


def superseded(
    pieces: Sequence[Piece], rows: IntArray | CodeArray, alive: BoolArray
) -> list[Piece]:
    """Return the pieces of which the given rows hold all that is alive."""
    covered = ~alive
    covered[rows] = True
    return [piece for piece in pieces if covered[piece.rows].all()]
