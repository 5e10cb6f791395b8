"""Attribute columns, one cell per product slot, and the filters evaluated over them."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import ABSENT, BoolArray, CodeArray, IntArray, grown
from visualsearch.index.paths import prefixes
from visualsearch.index.terms import TermColumn
from visualsearch.types import BaseRecord, Filters, OfferRecord

NO_SLOTS: IntArray = np.empty(0, dtype=np.int64)


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

    def flush(self) -> IntArray:
        """Write what was set, many slots at once; return these, some of them more than once."""
        cells = self._cells
        written = [NO_SLOTS]
        if self._bases:
            slots, bases = list(self._bases), self._bases.values()
            cells.category.put(slots, [base.category for base in bases])
            cells.brand.put(slots, [base.brand for base in bases])
            cells.tags.put({slot: base.tags for slot, base in self._bases.items()})
            written.append(np.array(slots))
            self._bases = {}
        if self._described:
            cells.attributes.put({slot: each.items() for slot, each in self._described.items()})
            written.append(np.array(list(self._described)))
            self._described = {}
        if self._offers:
            at, offers = np.array(list(self._offers)), self._offers.values()
            stop = int(at.max()) + 1
            cells.price = grown(cells.price, stop, np.nan)
            cells.stock = grown(cells.stock, stop, ABSENT)
            cells.price[at] = [np.nan if o.price is None else o.price for o in offers]
            cells.stock[at] = [ABSENT if o.in_stock is None else o.in_stock for o in offers]
            written.append(at)
            self._offers = {}
        return np.concatenate(written)

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
