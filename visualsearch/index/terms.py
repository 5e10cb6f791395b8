"""Any number of terms per product slot: tags, and free attributes as (name, value)."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

import numpy as np

from visualsearch.index.arrays import ABSENT, BoolArray, CodeArray, IntArray, grown
from visualsearch.index.masks import Masks


class TermColumn:
    """Any number of terms per slot, as (slot, code) pairs in two arrays.

    A slot's pairs lie together. A change writes its new pairs at the end and blanks the old
    ones; when most are blank the arrays are packed. Eight bytes a pair, whatever the number of
    distinct terms, where a bitmap per term would cost a byte per product and term.
    """

    def __init__(self) -> None:
        self._slots: CodeArray = np.empty(0, dtype=np.int32)
        self._codes: CodeArray = np.empty(0, dtype=np.int32)
        self._code_of: dict[Hashable, int] = {}
        self._first: CodeArray = np.empty(0, dtype=np.int32)  # of the slot's pairs, and
        self._stop: CodeArray = np.empty(0, dtype=np.int32)  # the place behind the last
        self._used = 0
        self._blank = 0
        self._masks = Masks(self._made)

    @classmethod
    def of(cls, slots: CodeArray, codes: CodeArray, terms: Iterable[Hashable]) -> "TermColumn":
        """Return the column of these pairs, slots ascending; a code is a place in `terms`."""
        column = cls()
        column._slots, column._codes, column._used = slots, codes, len(slots)
        column._code_of = {term: code for code, term in enumerate(terms)}
        column._locate()
        return column

    def put(self, changes: Mapping[int, Collection[Hashable]]) -> None:
        """Replace the terms of each slot."""
        slots = list(changes)
        self._first = grown(self._first, max(slots) + 1, 0)
        self._stop = grown(self._stop, max(slots) + 1, 0)
        firsts, stops = self._first[slots].tolist(), self._stop[slots].tolist()
        changed: list[int] = []
        new: list[list[int]] = []
        for slot, terms, first, stop in zip(slots, changes.values(), firsts, stops, strict=True):
            if not terms and first == stop:
                continue
            codes = sorted({self._code_of.setdefault(t, len(self._code_of)) for t in terms})
            former = self._codes[first:stop].tolist() if first < stop else []
            if former != codes:
                self._masks.change(slot, former, codes)
                self._codes[first:stop] = ABSENT
                self._blank += stop - first
                changed.append(slot)
                new.append(codes)
        if changed:
            self._append(changed, new)
        if self._blank > max(1024, self._used // 2):
            self._pack()

    def _append(self, slots: Sequence[int], codes: Sequence[Sequence[int]]) -> None:
        """Write a run of pairs for each slot."""
        lengths = [len(each) for each in codes]
        stops = self._used + np.cumsum(lengths)
        begin, self._used = self._used, int(stops[-1])
        self._slots = grown(self._slots, self._used, ABSENT)
        self._codes = grown(self._codes, self._used, ABSENT)
        self._slots[begin : self._used] = np.repeat(slots, lengths)
        self._codes[begin : self._used] = [code for each in codes for code in each]
        self._first[slots], self._stop[slots] = stops - lengths, stops

    def matching(self, terms: Iterable[Hashable], slots: int) -> BoolArray:
        """Return a mask of shape (slots,): the slot has every one of `terms`."""
        mask = np.ones(slots, dtype=np.bool_)
        for term in terms:
            code = self._code_of.get(term)
            if code is None:
                return np.zeros(slots, dtype=np.bool_)
            mask &= self._masks.of(code, slots)[:slots]
        return mask

    def _made(self, code: int, slots: int) -> BoolArray:
        mask = np.zeros(slots, dtype=np.bool_)
        mask[self._slots[: self._used][self._codes[: self._used] == code]] = True
        return mask

    def held(self) -> Callable[[IntArray], set[Hashable]]:
        """Return a function from slots to the terms that one of them has, as `CodeColumn.held`."""
        owners, codes = self._slots[: self._used], self._codes[: self._used]
        terms = list(self._code_of)

        def names(slots: IntArray) -> set[Hashable]:
            found = np.unique(codes[np.isin(owners, slots)])
            return {terms[code] for code in found.tolist() if code != ABSENT}

        return names

    def _pack(self) -> None:
        """Drop blank pairs; the order of the others, and so each slot's run, is kept."""
        kept = np.flatnonzero(self._codes[: self._used] != ABSENT)
        self._slots, self._codes = self._slots[kept], self._codes[kept]
        self._used, self._blank = len(kept), 0
        self._locate()

    def _locate(self) -> None:
        """Note where each slot's run of pairs is."""
        firsts = np.flatnonzero(np.diff(self._slots, prepend=ABSENT))
        owners, stops = self._slots[firsts], np.append(firsts[1:], len(self._slots))
        size = max(len(self._first), int(owners.max(initial=-1)) + 1)
        self._first = np.zeros(size, dtype=np.int32)
        self._stop = np.zeros(size, dtype=np.int32)
        self._first[owners], self._stop[owners] = firsts, stops
