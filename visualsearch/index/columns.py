"""Attribute columns, one cell per product slot, and the filters evaluated over them."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, grown
from visualsearch.index.masks import Masks
from visualsearch.index.paths import prefixes
from visualsearch.types import BaseRecord, Filters, OfferRecord

ABSENT = -1


class CodeColumn:
    """One value per slot, kept as an integer code; a missing value matches nothing.

    `spread` gives the names that a value is found by: itself, or for a path all that it lies in.
    """

    def __init__(self, spread: Callable[[str], Iterable[str]] = lambda value: (value,)) -> None:
        self._codes: CodeArray = np.empty(0, dtype=np.int32)
        self._code_of: dict[str | None, int] = {None: ABSENT}
        self._values: list[str] = []  # by code
        self._found_by: dict[str, list[int]] = {}
        self._spread = spread

    @classmethod
    def of(
        cls,
        codes: CodeArray,
        values: Iterable[str],
        spread: Callable[[str], Iterable[str]] = lambda value: (value,),
    ) -> "CodeColumn":
        """Return the column whose n-th slot has the value at place `codes[n]`, or ABSENT."""
        column = cls(spread)
        column._codes = codes
        for value in values:
            column._opened(value)
        return column

    def put(self, slots: Sequence[int], values: Iterable[str | None]) -> None:
        """Set the slots' values; None clears one."""
        self._codes = grown(self._codes, max(slots) + 1, ABSENT)
        known = self._code_of
        self._codes[slots] = [known[v] if v in known else self._opened(v) for v in values]

    def _opened(self, value: str | None) -> int:
        """Give a new value its code."""
        assert value is not None  # noqa: S101 - None has one from the start
        code = self._code_of[value] = len(self._values)
        self._values.append(value)
        for name in self._spread(value):
            self._found_by.setdefault(name, []).append(code)
        return code

    def matching(self, values: Iterable[str], slots: int) -> BoolArray:
        """Return a mask of shape (slots,): the slot's value is found by one of `values`."""
        mask = np.zeros(slots, dtype=np.bool_)
        wanted = [code for value in values for code in self._found_by.get(value, ())]
        codes = self._codes[:slots]
        if len(wanted) == 1:
            mask[: len(codes)] = codes == wanted[0]
        elif wanted:
            chosen = np.zeros(len(self._values) + 1, dtype=np.bool_)  # the last one is ABSENT's
            chosen[wanted] = True
            mask[: len(codes)] = chosen[codes]
        return mask

    def held(self) -> Callable[[IntArray], set[str]]:
        """Return a function from slots to the values that one of them has.

        It may be called without the lock under which this is: later changes may or may not show.
        """
        codes, values = self._codes, self._values

        def names(slots: IntArray) -> set[str]:
            found = np.unique(codes[slots[slots < len(codes)]])
            return {values[code] for code in found.tolist() if code != ABSENT}

        return names


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
        owners, firsts, lengths = np.unique(self._slots, return_index=True, return_counts=True)
        size = max(len(self._first), int(owners.max(initial=-1)) + 1)
        self._first = np.zeros(size, dtype=np.int32)
        self._stop = np.zeros(size, dtype=np.int32)
        self._first[owners], self._stop[owners] = firsts, firsts + lengths


@dataclass(slots=True)
class Cells:
    """The columns themselves; an unknown price is NaN, an unknown stock ABSENT."""

    category: CodeColumn = field(default_factory=lambda: CodeColumn(prefixes))
    brand: CodeColumn = field(default_factory=CodeColumn)
    tags: TermColumn = field(default_factory=TermColumn)
    attributes: TermColumn = field(default_factory=TermColumn)
    price: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    stock: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))


@dataclass(frozen=True, slots=True)
class Held:
    """Functions from slots to what products there are filtered by: see `CodeColumn.held`."""

    categories: Callable[[IntArray], set[str]]
    brands: Callable[[IntArray], set[str]]
    tags: Callable[[IntArray], set[Hashable]]
    attributes: Callable[[IntArray], set[Hashable]]


class Columns:
    """What can be filtered on, for every product slot; changes count once they are flushed."""

    def __init__(self, cells: Cells | None = None) -> None:
        self._cells = cells or Cells()
        self._bases: dict[int, BaseRecord] = {}
        self._described: dict[int, Mapping[str, str]] = {}
        self._offers: dict[int, OfferRecord] = {}

    def put_base(self, slot: int, base: BaseRecord) -> None:
        """Set what comes from the product itself; a deleted one matches nothing anyway."""
        if not base.deleted:
            self._bases[slot] = base
            self._described[slot] = base.attributes

    def put_attributes(self, slot: int, attributes: Mapping[str, str]) -> None:
        """Set the attributes in place of the base's: guesses from its pictures are among them."""
        self._described[slot] = attributes

    def put_offer(self, slot: int, offer: OfferRecord) -> None:
        """Set price and stock; unknown is NaN and -1, which satisfy no clause."""
        self._offers[slot] = offer

    def flush(self) -> None:
        """Write what was set, many slots at once."""
        cells = self._cells
        if self._bases:
            slots, bases = list(self._bases), self._bases.values()
            cells.category.put(slots, [base.category for base in bases])
            cells.brand.put(slots, [base.brand for base in bases])
            cells.tags.put({slot: base.tags for slot, base in self._bases.items()})
            self._bases = {}
        if self._described:
            cells.attributes.put({slot: each.items() for slot, each in self._described.items()})
            self._described = {}
        if self._offers:
            slots, offers = list(self._offers), self._offers.values()
            cells.price = grown(cells.price, max(slots) + 1, np.nan)
            cells.stock = grown(cells.stock, max(slots) + 1, ABSENT)
            cells.price[slots] = [np.nan if o.price is None else o.price for o in offers]
            cells.stock[slots] = [ABSENT if o.in_stock is None else o.in_stock for o in offers]
            self._offers = {}

    def matching(self, filters: Filters, excluded: Sequence[int], slots: int) -> BoolArray | None:
        """Return a mask of shape (slots,) of the products that satisfy every clause.

        None means that no clause was given, so that every product does. `excluded` holds the
        slots of `filters.exclude`; `filters.image_kind` is about rows and not looked at here.
        """
        cells = self._cells
        clauses: list[BoolArray] = []
        if filters.category:
            clauses.append(cells.category.matching(filters.category, slots))
        if filters.brand:
            clauses.append(cells.brand.matching(filters.brand, slots))
        if filters.tags:
            clauses.append(cells.tags.matching(filters.tags, slots))
        if filters.attributes:
            clauses.append(cells.attributes.matching(filters.attributes.items(), slots))
        clauses.extend(self._offer_clauses(filters, slots))
        if len(excluded):
            kept = np.ones(slots, dtype=np.bool_)
            kept[excluded] = False
            clauses.append(kept)
        return np.logical_and.reduce(clauses) if clauses else None

    def held(self) -> Held:
        """Return what tells the names that some products are filtered by."""
        cells = self._cells
        return Held(
            cells.category.held(), cells.brand.held(), cells.tags.held(), cells.attributes.held()
        )

    def _offer_clauses(self, filters: Filters, slots: int) -> Iterable[BoolArray]:
        cells = self._cells
        cells.price = grown(cells.price, slots, np.nan)
        cells.stock = grown(cells.stock, slots, ABSENT)
        if filters.price_min is not None:
            yield cells.price[:slots] >= filters.price_min
        if filters.price_max is not None:
            yield cells.price[:slots] <= filters.price_max
        if filters.in_stock is not None:
            yield cells.stock[:slots] == int(filters.in_stock)
