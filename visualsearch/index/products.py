"""What is known of each product, by slot: its latest records, and the columns to filter on."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import cast

import numpy as np

from visualsearch.index.arrays import BoolArray, IntArray, grown
from visualsearch.index.columns import Columns, Held
from visualsearch.index.shelf import Shelf
from visualsearch.index.state import NO_GUESSES, ImageRef, ProductState, attributes, satisfies
from visualsearch.types import (
    Applied,
    BaseRecord,
    Filters,
    Hit,
    OfferRecord,
    Order,
    Outcome,
    Record,
    VectorsRecord,
)

# Once, not per record: to look a member up takes Python 3.11 as long as to keep a price.
APPLIED, STALE = Outcome.APPLIED, Outcome.STALE
RESULTS = {(o, s): Applied(o, s) for o in Outcome for s in (False, True)}
HIDDEN, SHOWN = RESULTS[APPLIED, False], RESULTS[APPLIED, True]


class Products:
    """Slots are given out in the order in which products become known, and never change.

    Deleted products keep theirs, with the orders of their delete markers.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._slots: dict[str, int] = {}
        self._states: list[ProductState | None] = []  # None is only on the shelf
        self._columns = Columns()
        self._shelf: Shelf | None = None  # of a snapshot
        self._changed: IntArray = np.empty(0, dtype=np.int64)  # the version of the last change

    def __len__(self) -> int:
        return len(self.names)

    def slot(self, product_id: str) -> int | None:
        """Return the product's slot; None if nothing is known of it."""
        return self._slots.get(product_id)

    def known(self, product_id: str) -> tuple[int | None, ProductState | None]:
        """Return the product's slot and what is known of it; None twice if nothing is."""
        slot = self._slots.get(product_id)
        return (None, None) if slot is None else (slot, self._states[slot] or self.state(slot))

    def adopt(self, shelf: Shelf) -> None:
        """Take the products of a snapshot; none may be known yet."""
        self.names = shelf.names()
        self._slots = dict(zip(self.names, range(len(self.names)), strict=True))
        count = len(self.names)
        if len(self._slots) != count:
            raise ValueError("a product is there twice")
        self._states = [None] * count
        self._columns = shelf.columns()
        self._shelf = shelf

    def ahead(self, slots: Sequence[int]) -> dict[int, ProductState]:
        """Return what only the shelf knows of these products, for `keep`: it needs no lock."""
        if self._shelf is None:
            return {}
        states = self._states
        missing = [slot for slot in slots if states[slot] is None]
        return dict(zip(missing, self._shelf.read(missing), strict=True))

    def keep(self, ahead: Mapping[int, ProductState]) -> None:
        """Take what was read from the shelf, but for what is newer meanwhile."""
        for slot, state in ahead.items():
            if self._states[slot] is None:
                self._states[slot] = state

    @staticmethod
    def judge(record: Record, state: ProductState | None) -> Outcome:
        """Say whether a record is newer than, or as new as, what is known of its kind."""
        if state is None:
            return APPLIED
        known: Order | None
        if type(record) is VectorsRecord:
            known = state.vectors_order
        else:
            former = state.offer if type(record) is OfferRecord else state.base
            known = None if former is None else former.order
        return STALE if known is not None and record.order < known else APPLIED

    def open(self, product_id: str) -> tuple[int, ProductState]:
        """Give a product its slot; nothing is known of it yet."""
        state = ProductState(product_id)
        slot = self._slots[product_id] = len(self.names)
        self.names.append(product_id)
        self._states.append(state)
        return slot, state

    def put_offer(self, offer: OfferRecord) -> Applied:
        """Keep an offer, if it counts; return the outcome.

        A thousand prices change for one product that is new: it does no more than they need.
        """
        slot = self._slots.get(offer.product_id)
        if slot is None:
            slot, was = self.open(offer.product_id)
        else:
            was = self._states[slot] or self.state(slot)
        if self.judge(offer, was) is STALE:
            return RESULTS[STALE, was.searchable]
        self._states[slot] = ProductState(
            was.product_id, was.base, offer, was.vectors_order, was.images, was.guesses
        )
        self._columns.put_offer(slot, offer)
        return SHOWN if was.searchable else HIDDEN

    def put(
        self,
        record: BaseRecord | VectorsRecord,
        slot: int,
        was: ProductState,
        images: tuple[ImageRef, ...] = (),
    ) -> ProductState:
        """Keep a record that counts; return what is known now. `images` go with vectors."""
        base, order, guesses = was.base, was.vectors_order, was.guesses
        if type(record) is BaseRecord:
            base, images = record, was.images
            self._columns.put_base(slot, record)
        else:
            # Mostly of the same event as the base: one order is kept instead of two.
            order = base.order if base is not None and base.order == record.order else record.order
            guesses = record.guessed or NO_GUESSES
        now = ProductState(was.product_id, base, was.offer, order, images, guesses)
        self._states[slot] = now
        if guesses or was.guesses:
            self._describe(slot, now)
        return now

    def _describe(self, slot: int, state: ProductState) -> None:
        """Let filters on attributes know of both kinds of record, whichever came last."""
        if state.base is not None and not state.base.deleted:
            self._columns.put_attributes(slot, attributes(state.base, state.guesses))

    def flush(self, version: int) -> None:
        """Let filters know of every record that was put; it is of this version."""
        slots = self._columns.flush()
        self._changed = grown(self._changed, len(self.names), 0)
        self._changed[slots] = version

    def state(self, slot: int) -> ProductState:
        """Return what is known of a product, deleted ones included."""
        state = self._states[slot]
        if state is None:
            self.keep(self.ahead([slot]))
            state = self._states[slot]
            assert state is not None  # noqa: S101 - it was on the shelf
        return state

    def states(self, slots: Sequence[int]) -> list[ProductState | None]:
        """Return what is known of products; None is of one that is still on the shelf as it was."""
        return [self._states[slot] for slot in slots]

    def read(
        self, slots: Sequence[int], states: Sequence[ProductState | None]
    ) -> list[ProductState]:
        """Return the states with those from the shelf in their places: it needs no lock."""
        missing = [slot for slot, state in zip(slots, states, strict=True) if state is None]
        shelved = iter(self._shelf.read(missing) if self._shelf and missing else ())
        return [next(shelved) if state is None else state for state in states]

    def hits(
        self, slots: Sequence[int], places: Sequence[int], scores: Sequence[float]
    ) -> tuple[Hit, ...]:
        """Return a hit for each searchable product, by the picture at its place."""
        self.keep(self.ahead(slots))
        if len(slots) < 2:  # what an `itemgetter` of one or none gets is no tuple
            return tuple(map(Hit, scores, map(self.state, slots), places))
        # All first, then a hit of each: so the memory of several is waited for at once.
        states = cast("tuple[ProductState, ...]", itemgetter(*slots)(self._states))
        return tuple(map(Hit, scores, states, places))

    def satisfy(self, slots: IntArray, filters: Filters, since: int) -> bool:
        """Return whether those that have changed since a version still meet every clause."""
        self._changed = grown(self._changed, len(self.names), 0)
        changed = slots[self._changed[slots] > since].tolist()
        self.keep(self.ahead(changed))
        return all(satisfies(self.state(slot), filters) for slot in changed)

    def held(self) -> Held:
        """Return what tells the names that some products are filtered by."""
        return self._columns.held()

    def matching(self, filters: Filters) -> BoolArray | None:
        """Return a mask over slots of the products that meet every clause; None if all do."""
        excluded = [self._slots[name] for name in filters.exclude if name in self._slots]
        return self._columns.matching(filters, excluded, len(self.names))
