"""What is known of each product, by slot: its latest records, and the columns to filter on."""

from collections.abc import Mapping, Sequence

from visualsearch.index.arrays import BoolArray
from visualsearch.index.columns import Columns, Held
from visualsearch.index.shelf import Shelf
from visualsearch.index.state import (
    ImageRef,
    ProductState,
    attributes,
    counting,
    satisfies,
)
from visualsearch.types import (
    BaseRecord,
    Filters,
    Guess,
    Hit,
    OfferRecord,
    Order,
    Outcome,
    Record,
    VectorsRecord,
)


class Products:
    """Slots are given out in the order in which products become known, and never change.

    Deleted products keep theirs, with the orders of their delete markers.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._slots: dict[str, int] = {}
        self._bases: list[BaseRecord | None] = []
        self._offers: list[OfferRecord | None] = []
        self._orders: list[Order | None] = []  # of the vectors
        self._images: list[tuple[ImageRef, ...]] = []
        # Of those products that have any: most catalogues name their own attributes.
        self._guesses: dict[int, Mapping[str, Guess]] = {}
        self._columns = Columns()
        self._shelf: Shelf | None = None  # of a snapshot: what `_unread` says is only there
        self._unread = bytearray()

    def __len__(self) -> int:
        return len(self.names)

    def slot(self, product_id: str) -> int | None:
        """Return the product's slot; None if nothing is known of it."""
        return self._slots.get(product_id)

    def adopt(self, shelf: Shelf) -> None:
        """Take the products of a snapshot; none may be known yet."""
        self.names = shelf.names()
        self._slots = dict(zip(self.names, range(len(self.names)), strict=True))
        count = len(self.names)
        if len(self._slots) != count:
            raise ValueError("a product is there twice")
        self._bases, self._offers, self._orders = [None] * count, [None] * count, [None] * count
        self._images = [()] * count
        self._columns = shelf.columns()
        self._shelf, self._unread = shelf, bytearray(b"\1" * count)

    def ahead(self, slots: Sequence[int]) -> dict[int, ProductState]:
        """Return what only the shelf knows of these products, for `keep`: it needs no lock."""
        if self._shelf is None:
            return {}
        count, unread = len(self._unread), self._unread
        missing = [slot for slot in slots if slot < count and unread[slot]]
        return dict(zip(missing, self._shelf.read(missing), strict=True))

    def keep(self, ahead: Mapping[int, ProductState]) -> None:
        """Take what was read from the shelf, but for what is newer meanwhile."""
        for slot, state in ahead.items():
            if self._unread[slot]:
                self._bases[slot], self._offers[slot] = state.base, state.offer
                self._orders[slot], self._images[slot] = state.vectors_order, state.images
                if state.guesses:
                    self._guesses[slot] = state.guesses
                self._unread[slot] = 0

    def _fetch(self, slots: Sequence[int]) -> None:
        if self._shelf is not None:
            self.keep(self.ahead(slots))

    def judge(self, record: Record, slot: int | None) -> Outcome:
        """Say whether a record is newer than, or as new as, what is known of its kind."""
        known: Order | None = None
        if slot is not None:
            self._fetch([slot])
            if isinstance(record, VectorsRecord):
                known = self._orders[slot]
            else:
                former = (self._bases if isinstance(record, BaseRecord) else self._offers)[slot]
                known = None if former is None else former.order
        stale = known is not None and record.order < known
        return Outcome.STALE if stale else Outcome.APPLIED

    def put(self, record: Record, slot: int | None, images: tuple[ImageRef, ...] = ()) -> int:
        """Keep a record that counts; return its product's slot. `images` go with vectors."""
        if slot is None:
            slot = self._open(record.product_id)
        if isinstance(record, OfferRecord):
            self._offers[slot] = record
            self._columns.put_offer(slot, record)
        elif isinstance(record, BaseRecord):
            self._bases[slot] = record
            self._columns.put_base(slot, record)
            if slot in self._guesses:
                self._describe(slot)
        else:
            base, order = self._bases[slot], record.order
            if base is not None and base.order == order:  # mostly of the same event
                order = base.order  # one is kept instead of two
            self._orders[slot] = order
            self._images[slot] = images
            self._guess(slot, record.guessed)
        return slot

    def _guess(self, slot: int, guesses: Mapping[str, Guess]) -> None:
        if guesses:
            self._guesses[slot] = guesses
        elif self._guesses.pop(slot, None) is None:
            return
        self._describe(slot)

    def _describe(self, slot: int) -> None:
        """Let filters on attributes know of both kinds of record, whichever came last."""
        base = self._bases[slot]
        if base is not None and not base.deleted:
            found = attributes(base, self._guesses.get(slot, {}))
            self._columns.put_attributes(slot, found)

    def flush(self) -> None:
        """Let filters know of every record that was put."""
        self._columns.flush()

    def _open(self, product_id: str) -> int:
        slot = self._slots[product_id] = len(self.names)
        self.names.append(product_id)
        self._bases.append(None)
        self._offers.append(None)
        self._orders.append(None)
        self._images.append(())
        return slot

    def searchable(self, slot: int) -> bool:
        """Return whether a search can find it: a live base and at least one vector."""
        self._fetch([slot])
        base = self._bases[slot]
        return base is not None and not base.deleted and bool(self._images[slot])

    def state(self, slot: int) -> ProductState:
        """Return what is known of a product, deleted ones included."""
        self._fetch([slot])
        return self._state(slot)

    def states(self, slots: Sequence[int]) -> list[ProductState | None]:
        """Return what is known of products; None is of one that is still on the shelf as it was."""
        count, unread = len(self._unread), self._unread
        return [None if slot < count and unread[slot] else self._state(slot) for slot in slots]

    def read(
        self, slots: Sequence[int], states: Sequence[ProductState | None]
    ) -> list[ProductState]:
        """Return the states with those from the shelf in their places: it needs no lock."""
        missing = [slot for slot, state in zip(slots, states, strict=True) if state is None]
        shelved = iter(self._shelf.read(missing) if self._shelf and missing else ())
        return [next(shelved) if state is None else state for state in states]

    def _state(self, slot: int) -> ProductState:
        return ProductState(
            self.names[slot],
            self._bases[slot],
            self._offers[slot],
            self._orders[slot],
            self._images[slot],
            self._guesses.get(slot, {}),
        )

    def hits(
        self, slots: Sequence[int], places: Sequence[int], scores: Sequence[float]
    ) -> tuple[Hit, ...]:
        """Return a hit for each searchable product, by the picture at its place."""
        self._fetch(slots)
        bases, offers, images = self._bases, self._offers, self._images
        guesses = self._guesses
        return tuple(
            [
                Hit(
                    score,
                    images[slot][place].image_id,
                    base,
                    offers[slot],
                    guesses=counting(base, guesses[slot]) if slot in guesses else None,
                )
                for slot, place, score in zip(slots, places, scores, strict=True)
                if (base := bases[slot]) is not None
            ]
        )

    def satisfy(self, slots: Sequence[int], filters: Filters) -> bool:
        """Return whether all of these products are searchable and meet every clause."""
        self._fetch(slots)
        return all(satisfies(self.state(slot), filters) for slot in slots)

    def held(self) -> Held:
        """Return what tells the names that some products are filtered by."""
        return self._columns.held()

    def matching(self, filters: Filters) -> BoolArray | None:
        """Return a mask over slots of the products that meet every clause; None if all do."""
        excluded = [self._slots[name] for name in filters.exclude if name in self._slots]
        return self._columns.matching(filters, excluded, len(self.names))
