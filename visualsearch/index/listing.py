"""The lists' part of the upkeep: which rows to code next, by what, and the swap of the result."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import inf

import numpy as np

from visualsearch.errors import MissingLibraryError
from visualsearch.index.arrays import CodeArray, IntArray, RowQueue
from visualsearch.index.codes import NO_LIST, NO_LISTS, ListArray, misfit, sample_rows, training
from visualsearch.index.coding import MOST_ROWS, Coding, superseded, to_join
from visualsearch.index.layout import Layout
from visualsearch.index.lists import Coder, Piece
from visualsearch.index.live import LiveIndex
from visualsearch.index.merge import to_tidy
from visualsearch.index.retraining import Retraining

RETRAIN = 4.0  # times the rows of the last training: the coder is trained again
DRIFT = 1.25  # and when rows lie so many times further from their centroids than they did then
CHECKED = 2_048  # rows that say so
LOOKED = 2_048  # rows whose lists are found out at once: some 20 ms
CODING_STEPS = 8  # at once: until rows are on a list every search scans them
NOTED = 128  # of so many rows one must die before graphs and pieces are looked through for it
YOUNG = 64  # times the rows that make a piece: so far the newest one grows without coding again
FEWER = 4  # at rest so many times fewer rows are put on lists: each search scans what waits
SMALLER = 8  # at rest pieces become one with another that is at most so many times larger


class Listing:
    """Puts rows on lists, in steps; one thread's."""

    def __init__(
        self,
        index: LiveIndex,
        lock: Callable[[], AbstractContextManager[object]],
        layout: Layout,
        rng: np.random.Generator,
        on_freed: Callable[[], object],
    ) -> None:
        self.coder: Coder | None = None
        self._index = index
        self._lock = lock
        self._layout = layout
        self._rng = rng
        self._on_freed = on_freed
        self._coding: Coding | None = None
        self._recoding: Coding | None = None  # of rows that are on lists, beside the new ones
        self._retraining: Retraining | None = None  # of all of them, beside the new ones
        self._looked: tuple[tuple[Piece, ...] | None, int] = None, 0  # what pieces were, and decay
        self._counted = 0  # the decay when all rows of the lists were last counted
        self._listless = False
        self._unchecked = 0  # rows coded since the coder was last compared with them

    @property
    def decay(self) -> int:
        """Return a number that changes whenever one row in NOTED has died."""
        return self._index.deaths // max(1, self._index.live_rows // NOTED)

    def step(self) -> int:
        """Code some rows; return how many, 0 if there is nothing to do."""
        self.look()
        done = self._code_step()
        if self._retraining is None:
            done += self._recode_step() or self._begin_retraining()
        else:
            done += self._retrain_step(self._retraining)
        return done

    def look(self) -> None:
        """Find out which lists the next rows will be on: so long every search scans them."""
        index = self._index
        if self.coder is None or len(index.for_lists) == len(index.near):
            return
        with self._lock():
            rows = index.for_lists.waiting()[len(index.near) :][:LOOKED].astype(np.int64)
        lists = self.coder.lists_of(index.rows.unit(rows))  # of the dead, too: nobody sees them
        with self._lock():
            index.forget()
            index.near = np.concatenate([index.near, lists])

    def tidy(self) -> int:
        """Begin what there is to do when there is nothing else; 0 if there is nothing.

        Rows that are few go on lists, and few pieces are made of many.
        """
        self._coding = self._begin(max(1, self._layout.piece_rows // FEWER))
        if self._coding is not None:
            return 1
        fine = [piece for piece in self._index.built.pieces if not piece.coarse]
        return self._recode(to_tidy(fine, lambda piece: len(piece.rows), inf, SMALLER))

    def _coded(
        self,
        coder: Coder,
        rows: CodeArray,
        *,
        near: ListArray = NO_LISTS,
        taken: int = 0,
        replaces: Sequence[Piece] = (),
    ) -> Coding:
        index = self._index
        return Coding(
            coder, rows, index.rows, lambda rows: index.list_of[rows],
            near=near, taken=taken, replaces=replaces,
        )  # fmt: skip

    def lists_of(self, rows: CodeArray) -> IntArray:
        """Return the list of each row, whether it has been coded or not; 0 before any training."""
        if self.coder is None:
            return np.zeros(len(rows), dtype=np.int64)
        lists = self._index.list_of[rows].astype(np.int64)
        missing = np.flatnonzero(lists == NO_LIST)
        for begin in range(0, len(missing), 4096):
            part = missing[begin : begin + 4096]
            lists[part] = self.coder.lists_of(self._index.rows.unit(rows[part].astype(np.int64)))
        return lists

    def _code_step(self) -> int:
        if self._coding is None:
            self._coding = self._begin(self._layout.piece_rows)
            return 0 if self._coding is None else 1
        coding, done = self._coding, 1
        for _ in range(CODING_STEPS):
            done += coding.step()
            if coding.finished:
                break
        if coding.finished:
            self._publish(coding)
            self._coding = None
        return done

    def _recode_step(self) -> int:
        """Code the rows of pieces again, so that these can go."""
        if self._recoding is None:
            return self._recode(self._to_recode())
        recoding = self._recoding
        done = 1 + recoding.step()
        if recoding.finished:
            self._recoding = None
            self._publish(recoding)
        return done

    def _to_recode(self) -> tuple[Piece, ...]:
        """Return pieces to make one of; they are looked through when there is something new."""
        index = self._index
        pieces, decay = index.built.pieces, self.decay
        if pieces is self._looked[0] and decay == self._looked[1]:
            return ()
        coarse = tuple(piece for piece in pieces if piece.coarse)[:1]
        old = [piece for piece in pieces if not piece.coarse and not piece.young]
        found = coarse or to_join(old, index.rows.alive, self._layout.piece_rows)
        if not found:
            self._looked = pieces, decay
        return found

    def _recode(self, pieces: Sequence[Piece]) -> int:
        """Begin to make one piece of these."""
        if self.coder is None or not pieces:
            return 0
        rows = np.concatenate([piece.rows for piece in pieces])
        self._recoding = self._coded(self.coder, rows, replaces=pieces)
        return 1

    def _begin(self, least: int) -> Coding | None:
        index = self._index
        if self.coder is None or len(index.for_lists) < least:
            return None
        with self._lock():
            waiting = index.for_lists.waiting()[:MOST_ROWS].copy()
        near = index.near[: len(waiting)]
        self._unchecked += len(waiting)
        return self._coded(self.coder, waiting, near=near, taken=len(waiting))

    def _begin_retraining(self) -> int:
        """Begin to train when there are rows enough, many more than at the last time, or others."""
        index = self._index
        if self._listless or index.live_rows < self._layout.coder_rows:
            return 0
        coder = self.coder
        if coder is not None and index.live_rows <= RETRAIN * coder.rows and not self._drifted():
            return 0
        with self._lock():
            rows = self._in_use()
        sample = self._rng.choice(rows, size=sample_rows(len(rows)), replace=False)
        steps = training(index.rows.unit(sample.astype(np.int64)), len(rows))
        self._retraining = Retraining(steps, serving=coder is not None)
        return 1

    def _in_use(self) -> CodeArray:
        rows = self._index.rows
        return np.flatnonzero(rows.alive[: rows.count]).astype(np.int32)

    def _retrain_step(self, retraining: Retraining) -> int:
        if retraining.coder is None:
            self._train(retraining)
        elif not retraining.codings:
            with self._lock():
                coding = self._coded(retraining.coder, self._in_use())
                retraining.begin(coding, self._index.for_lists)
        elif done := retraining.step(self._coded):
            return done
        else:
            self._publish_all(retraining)
        return 1

    def _train(self, retraining: Retraining) -> None:
        try:
            retraining.train()
        except Exception as error:  # what has failed half-way cannot go on
            # Told once: searches are right without lists, but slower.
            self._listless = isinstance(error, MissingLibraryError)
            self._retraining = None
            raise

    def _drifted(self) -> bool:
        """Return whether the rows of today lie further from the centroids than the sample did."""
        coder = self.coder
        if coder is None or self._unchecked < max(coder.rows // 4, CHECKED):
            return False
        self._unchecked = 0
        with self._lock():
            rows = np.flatnonzero(self._index.rows.live[: self._index.rows.count])
        if len(rows) < self._layout.coder_rows:
            return False
        sample = self._rng.choice(rows, size=min(CHECKED, len(rows)), replace=False)
        vectors = self._index.rows.unit(sample)
        return misfit(vectors, coder.centroids) > DRIFT * coder.book.misfit

    def _publish_all(self, retraining: Retraining) -> None:
        """Swap in what a new coder has coded, and that coder; no list of the former one stays."""
        index, codings = self._index, retraining.codings
        most = YOUNG * self._layout.piece_rows
        pieces = [coding.piece.complete(young=len(coding.rows) <= most) for coding in codings]
        with self._lock():
            index.forget()
            left = retraining.left(index.for_lists)
            index.for_lists, index.near = RowQueue(), NO_LISTS
            index.for_lists.push(left)
            index.list_of = np.full_like(index.list_of, NO_LIST)  # views keep the former
            for coding in codings:
                index.list_of[coding.rows] = coding.lists
            index.list_of[left] = NO_LIST
            index.built.pieces = tuple(piece for piece in pieces if len(piece.rows))
            self.coder = retraining.coder
            index.built.list_sizes = index.list_sizes(len(codings[0].coder.centroids))
        self._retraining = self._coding = self._recoding = None
        self._on_freed()

    def _publish(self, coding: Coding) -> None:
        index, new, most = self._index, coding.piece, YOUNG * self._layout.piece_rows
        count = len(coding.rows)
        joined = [] if coding.replaces else self._young(most - count)
        for piece in joined:
            new.join(piece, index.rows.alive)
        new.complete(young=count + sum(len(piece.rows) for piece in joined) <= most)
        # What looks through all rows comes before the lock: it would hold searches up for
        # milliseconds. Rows that die meanwhile count, and those of an id that is used again wait.
        gone = [*coding.replaces, *joined]
        if not coding.replaces:
            gone += superseded(index.built.pieces, coding.rows, index.rows.alive)
        every = (*index.built.pieces, new)
        pieces = tuple(piece for piece in every if len(piece.rows) and piece not in gone)
        sizes = self._sizes(coding)
        with self._lock():
            index.forget()
            if self._retraining is not None:
                self._retraining.listed(index.for_lists, coding.taken)
            index.for_lists.pop(coding.taken)
            index.near = index.near[coding.taken :]
            if not coding.replaces:  # else they are known, or another picture's by now
                index.list_of[coding.rows] = coding.lists
            index.built.pieces, index.built.list_sizes = pieces, sizes
        if len(new.rows) > index.live_rows // 4:
            self._on_freed()

    def _sizes(self, coding: Coding) -> IntArray:
        """Return how many rows each list holds with these; all are counted when many have died."""
        sizes, decay = self._index.built.list_sizes, self.decay
        if decay != self._counted:
            self._counted = decay
            sizes = self._index.list_sizes(len(sizes))
        if coding.replaces:
            return sizes
        return sizes + np.bincount(coding.lists, minlength=len(sizes))

    def _young(self, room: int) -> list[Piece]:
        """Return pieces of `room` rows to join to a new one; in a burst none: others wait."""
        found: list[Piece] = []
        if len(self._index.for_lists) > 2 * MOST_ROWS:
            return found
        busy = self._recoding.replaces if self._recoding else ()
        for piece in self._index.built.pieces:
            if piece.young and piece not in busy and len(piece.rows) <= room:
                found.append(piece)
                room -= len(piece.rows)
        return found
