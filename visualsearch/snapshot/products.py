"""The products of a snapshot as an Arrow file: filter columns, and one record per product.

The file is memory-mapped. Filter columns are built from its columns as a whole. A product's record
(MessagePack) is decoded when the product is read.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from visualsearch.index.arrays import BoolArray
from visualsearch.index.columns import Columns
from visualsearch.index.state import NO_GUESSES, ImageRef, ProductState, attributes
from visualsearch.snapshot.columns import cells_of
from visualsearch.types import BaseRecord, Guess, ImageKind, OfferRecord, Order

BATCH = 8_192  # rows of every record batch except the last
BASE = ("order", "deleted", "title", "description", "brand", "category", "tags", "attributes",
        "url")  # fmt: skip
OFFER = ("order", "deleted", "price", "currency", "in_stock")

_base, _offer = attrgetter(*BASE), attrgetter(*OFFER)
_Base = tuple[
    Order, bool, str, str | None, str | None, str | None, tuple[str, ...], dict[str, str],
    str | None,
]  # fmt: skip
_Offer = tuple[Order, bool, float | None, str | None, bool | None]
_Image = tuple[str, ImageKind, str | None]
_Guesses = dict[str, tuple[str, float]]
_Known = tuple[_Base | None, _Offer | None, Order | None, tuple[_Image, ...], _Guesses]

# Other mappings of attributes are encoded as dicts.
_ENCODER = msgspec.msgpack.Encoder(enc_hook=dict)
_DECODER = msgspec.msgpack.Decoder(_Known)


@cache
def schema() -> Any:
    """Return the Arrow schema; a null matches no filter."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    return pa.schema(
        {
            "product_id": text,
            "record": pa.large_binary(),
            "searchable": pa.bool_(),
            "category": text,
            "brand": text,
            "tags": texts,
            "attribute_names": texts,
            "attribute_values": texts,
            "price": pa.float64(),
            "in_stock": pa.bool_(),
        }
    )


def record_batch(states: Sequence[ProductState]) -> Any:
    """Return products as a pyarrow.RecordBatch; a few microseconds each, with the GIL held."""
    import pyarrow as pa

    bases = [state.base or _NO_BASE for state in states]
    offers = [state.offer or _NO_OFFER for state in states]
    found = [attributes(base, state.guesses) for base, state in zip(bases, states, strict=True)]
    columns: list[list[Any]] = [
        [state.product_id for state in states],
        [_encoded(state) for state in states],
        [state.searchable for state in states],
        [base.category for base in bases],
        [base.brand for base in bases],
        [base.tags for base in bases],
        [list(each) for each in found],
        [list(each.values()) for each in found],
        [offer.price for offer in offers],
        [offer.in_stock for offer in offers],
    ]
    types = schema()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=types)


def concat_batches(parts: Iterable[Any]) -> Any:
    """Return the concatenation of record batches."""
    import pyarrow as pa

    return pa.concat_batches(list(parts))


def _encoded(state: ProductState) -> bytes:
    return _ENCODER.encode(
        (
            None if state.base is None else _base(state.base),
            None if state.offer is None else _offer(state.offer),
            state.vectors_order,
            [(image.image_id, image.kind, image.url) for image in state.images],
            {name: (guess.value, guess.confidence) for name, guess in state.guesses.items()},
        )
    )


def _decoded(name: str, record: bytes) -> ProductState:
    base, offer, vectors, images, guesses = _DECODER.decode(record)
    return ProductState(
        name,
        None if base is None else BaseRecord(name, *base),
        None if offer is None else OfferRecord(name, *offer),
        vectors,
        tuple([ImageRef(*image) for image in images]),
        {name: Guess(*guess) for name, guess in guesses.items()} or NO_GUESSES,
    )


class ArrowShelf:
    """The products of a snapshot's Arrow file, memory-mapped; slots are row numbers."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises pyarrow.ArrowInvalid, OSError or KeyError if it is damaged."""
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            self._table = pa.ipc.open_file(source).read_all()
        batches = self._table.to_batches()
        if any(len(batch) != BATCH for batch in batches[:-1]):
            raise pa.ArrowInvalid(f"a record batch does not have {BATCH} rows")
        self._both = [(batch.column("product_id"), batch.column("record")) for batch in batches]

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def names(self) -> list[str]:
        """Return the ids of all products, by slot."""
        names: list[str] = self._table.column("product_id").to_pylist()
        return names

    def read(self, slots: Sequence[int]) -> list[ProductState]:
        """Decode the products at these slots; a few microseconds each."""
        states: list[ProductState] = []
        for slot in slots:
            names, records = self._both[slot // BATCH]
            place = slot % BATCH
            states.append(_decoded(names[place].as_py(), records[place].as_py()))
        return states

    def searchable(self) -> BoolArray:
        """Return a mask, (products,): those with a live base record and at least one image."""
        mask: BoolArray = self._table.column("searchable").to_numpy()
        return mask.copy()

    def columns(self) -> Columns:
        """Return the filter columns of all products."""
        return Columns(cells_of(self._table))


_NO_BASE, _NO_OFFER = BaseRecord("", (0, 0, 0)), OfferRecord("", (0, 0, 0))
