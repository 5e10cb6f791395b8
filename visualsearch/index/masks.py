"""Masks of the terms that are asked for: kept true by each change, instead of made by each search.

Making one means looking at every pair of a column: a millisecond at 200,000 products.
"""

from collections.abc import Callable, Iterable

from visualsearch.index.arrays import BoolArray, grown

MOST = 32  # a byte per product each


class Masks:
    """The masks over slots of the codes that were asked for last."""

    def __init__(self, make: Callable[[int, int], BoolArray]) -> None:
        self._make = make
        self._kept: dict[int, BoolArray] = {}  # the one that was asked for last stands last

    def of(self, code: int, slots: int) -> BoolArray:
        """Return a mask of at least `slots` cells; it is not the caller's to change."""
        mask = self._kept.pop(code, None)
        mask = self._make(code, slots) if mask is None else grown(mask, slots, fill=False)
        self._kept[code] = mask
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return mask

    def change(self, slot: int, former: Iterable[int], codes: Iterable[int]) -> None:
        """Let a slot have other codes than before."""
        if self._kept:
            self._set(slot, former, to=False)
            self._set(slot, codes, to=True)

    def _set(self, slot: int, codes: Iterable[int], *, to: bool) -> None:
        for code in codes:
            mask = self._kept.get(code)
            if mask is not None:
                if slot >= len(mask):
                    mask = self._kept[code] = grown(mask, slot + 1, fill=False)
                mask[slot] = to
