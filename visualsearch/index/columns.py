"""Attribute columns, one cell per product slot, and the filters evaluated over them."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, grown
from visualsearch.types import BaseRecord, Filters, OfferRecord

ABSENT = -1


class CodeColumn:
    """One value per slot, kept as an integer code; a missing value matches nothing."""

    def __init__(self) -> None:
        self._codes: CodeArray = np.empty(0, dtype=np.int32)
        self._code_of: dict[str, int] = {}

    def put(self, slot: int, value: str | None) -> None:
        """Set the slot's value; None clears it."""
        self._codes = grown(self._codes, slot + 1, ABSENT)
        code = ABSENT if value is None else self._code_of.setdefault(value, len(self._code_of))
        self._codes[slot] = code

    def matching(self, values: Iterable[str], slots: int) -> BoolArray:
        """Return a mask of shape (slots,): the slot's value is one of `values`."""
        mask = np.zeros(slots, dtype=np.bool_)
        codes = self._codes[:slots]
        for value in values:
            if (code := self._code_of.get(value)) is not None:
                mask[: len(codes)] |= codes == code
        return mask


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
        self._span: dict[int, tuple[int, int]] = {}
        self._used = 0
        self._blank = 0

    def put(self, slot: int, terms: Iterable[Hashable]) -> None:
        """Replace the slot's terms."""
        codes = sorted({self._code_of.setdefault(term, len(self._code_of)) for term in terms})
        first, stop = self._span.get(slot, (0, 0))
        if self._codes[first:stop].tolist() == codes:
            return
        self._codes[first:stop] = ABSENT
        self._blank += stop - first
        first, stop = self._used, self._used + len(codes)
        self._slots = grown(self._slots, stop, ABSENT)
        self._codes = grown(self._codes, stop, ABSENT)
        self._slots[first:stop], self._codes[first:stop] = slot, codes
        self._span[slot], self._used = (first, stop), stop
        if self._blank > max(1024, self._used // 2):
            self._pack()

    def matching(self, terms: Iterable[Hashable], slots: int) -> BoolArray:
        """Return a mask of shape (slots,): the slot has every one of `terms`."""
        mask = np.ones(slots, dtype=np.bool_)
        for term in terms:
            having = np.zeros(slots, dtype=np.bool_)
            if (code := self._code_of.get(term)) is not None:
                having[self._slots[: self._used][self._codes[: self._used] == code]] = True
            mask &= having
        return mask

    def _pack(self) -> None:
        """Drop blank pairs; the order of the others, and so each slot's run, is kept."""
        kept = np.flatnonzero(self._codes[: self._used] != ABSENT)
        self._slots, self._codes = self._slots[kept], self._codes[kept]
        self._used, self._blank = len(kept), 0
        owners, firsts, lengths = np.unique(self._slots, return_index=True, return_counts=True)
        self._span = {
            int(owner): (int(first), int(first + length))
            for owner, first, length in zip(owners, firsts, lengths, strict=True)
        }


class Columns:
    """What can be filtered on, for every product slot."""

    def __init__(self) -> None:
        self._category = CodeColumn()
        self._brand = CodeColumn()
        self._tags = TermColumn()
        self._attributes = TermColumn()
        self._price: npt.NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self._stock: npt.NDArray[np.int8] = np.empty(0, dtype=np.int8)

    def put_base(self, slot: int, base: BaseRecord) -> None:
        """Set what comes from the product itself; a deleted one has no values."""
        self._category.put(slot, base.category)
        self._brand.put(slot, base.brand)
        self._tags.put(slot, base.tags)
        self._attributes.put(slot, base.attributes.items())

    def put_offer(self, slot: int, offer: OfferRecord) -> None:
        """Set price and stock; unknown is NaN and -1, which satisfy no clause."""
        self._price = grown(self._price, slot + 1, np.nan)
        self._stock = grown(self._stock, slot + 1, ABSENT)
        self._price[slot] = np.nan if offer.price is None else offer.price
        self._stock[slot] = ABSENT if offer.in_stock is None else int(offer.in_stock)

    def matching(self, filters: Filters, excluded: Sequence[int], slots: int) -> BoolArray | None:
        """Return a mask of shape (slots,) of the products that satisfy every clause.

        None means that no clause was given, so that every product does. `excluded` holds the
        slots of `filters.exclude`; `filters.image_kind` is about rows and not looked at here.
        """
        clauses: list[BoolArray] = []
        if filters.category:
            clauses.append(self._category.matching(filters.category, slots))
        if filters.brand:
            clauses.append(self._brand.matching(filters.brand, slots))
        if filters.tags:
            clauses.append(self._tags.matching(filters.tags, slots))
        if filters.attributes:
            clauses.append(self._attributes.matching(filters.attributes.items(), slots))
        clauses.extend(self._offer_clauses(filters, slots))
        if len(excluded):
            kept = np.ones(slots, dtype=np.bool_)
            kept[excluded] = False
            clauses.append(kept)
        return np.logical_and.reduce(clauses) if clauses else None

    def _offer_clauses(self, filters: Filters, slots: int) -> Iterable[BoolArray]:
        self._price = grown(self._price, slots, np.nan)
        self._stock = grown(self._stock, slots, ABSENT)
        if filters.price_min is not None:
            yield self._price[:slots] >= filters.price_min
        if filters.price_max is not None:
            yield self._price[:slots] <= filters.price_max
        if filters.in_stock is not None:
            yield self._stock[:slots] == int(filters.in_stock)
