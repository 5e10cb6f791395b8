"""What is known of each product, as an Arrow file: typed columns, batches of one size.

The file is mapped and not read: filter columns are made of its columns at once, and a product's
records when somebody asks for them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.index.arrays import BoolArray
from visualsearch.index.columns import Columns
from visualsearch.index.state import ImageRef, ProductState
from visualsearch.snapshot.columns import cells_of
from visualsearch.types import BaseRecord, OfferRecord, Order

BATCH = 8_192  # rows of every batch but the last


def schema() -> Any:
    """Return the Arrow schema; a null struct is a kind of record that was never seen."""
    import pyarrow as pa

    text, order = pa.string(), pa.list_(pa.int64(), 3)
    base = {
        "order": order, "deleted": pa.bool_(), "title": text, "description": text, "brand": text,
        "category": text, "tags": pa.list_(text), "attributes": pa.map_(text, text), "url": text,
    }  # fmt: skip
    offer = {
        "order": order, "deleted": pa.bool_(), "price": pa.float64(), "currency": text,
        "in_stock": pa.bool_(),
    }  # fmt: skip
    image = pa.struct({"image_id": text, "kind": text, "url": text})
    return pa.schema(
        {
            "product_id": text,
            "base": pa.struct(base),
            "offer": pa.struct(offer),
            "vectors": order,
            "images": pa.list_(image),
        }
    )


def part(states: Sequence[ProductState]) -> Any:
    """Return products as a record batch; some 10 microseconds each, with the GIL held."""
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([_fields(state) for state in states], schema=schema())


def joined(parts: Iterable[Any]) -> Any:
    """Return record batches as one."""
    import pyarrow as pa

    return pa.concat_batches(list(parts))


def _fields(state: ProductState) -> dict[str, Any]:
    base, offer = state.base, state.offer
    return {
        "product_id": state.product_id,
        "base": None if base is None else {
            "order": base.order, "deleted": base.deleted, "title": base.title,
            "description": base.description, "brand": base.brand, "category": base.category,
            "tags": base.tags, "attributes": list(base.attributes.items()), "url": base.url,
        },
        "offer": None if offer is None else {
            "order": offer.order, "deleted": offer.deleted, "price": offer.price,
            "currency": offer.currency, "in_stock": offer.in_stock,
        },
        "vectors": state.vectors_order,
        "images": [
            {"image_id": image.image_id, "kind": image.kind, "url": image.url}
            for image in state.images
        ],
    }  # fmt: skip


def _order(values: Sequence[int]) -> Order:
    stamp, offset, rank = values
    return stamp, offset, rank


def _state(row: dict[str, Any]) -> ProductState:
    name, base, offer = row["product_id"], row["base"], row["offer"]
    if base is not None:
        base["order"], base["tags"] = _order(base["order"]), tuple(base["tags"])
        base = BaseRecord(name, **base | {"attributes": dict(base["attributes"])})
    if offer is not None:
        offer = OfferRecord(name, **offer | {"order": _order(offer["order"])})
    vectors = row["vectors"]
    images = tuple(ImageRef(**image) for image in row["images"])
    return ProductState(name, base, offer, None if vectors is None else _order(vectors), images)


class ArrowShelf:
    """The products of a snapshot's file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises pyarrow.ArrowInvalid or OSError if it cannot be."""
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            self._table = pa.ipc.open_file(source).read_all()
        self._batches = self._table.to_batches()
        if any(len(batch) != BATCH for batch in self._batches[:-1]):
            raise pa.ArrowInvalid("batches of another size")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def names(self) -> list[str]:
        """Return the ids of all products."""
        names: list[str] = self._table.column("product_id").to_pylist()
        return names

    def read(self, slots: Sequence[int]) -> list[ProductState]:
        """Return what is known of these products: some 20 microseconds each, fewer for many."""
        wanted = np.asarray(slots, dtype=np.int64)
        out: list[ProductState] = [_NOTHING] * len(wanted)
        batches = wanted // BATCH
        for number in np.unique(batches).tolist():
            places = np.flatnonzero(batches == number)
            rows = self._batches[number].take(wanted[places] - number * BATCH).to_pylist()
            for place, row in zip(places.tolist(), rows, strict=True):
                out[place] = _state(row)
        return out

    def searchable(self) -> BoolArray:
        """Return which products have a live base and at least one picture."""
        import pyarrow.compute as pc

        base, images = self._table.column("base"), self._table.column("images")
        dead = pc.fill_null(pc.struct_field(base, "deleted"), fill_value=True)
        pictured = pc.greater(pc.list_value_length(images), 0)
        mask: BoolArray = pc.and_(pc.invert(dead), pictured).to_numpy()
        return mask.copy()

    def columns(self) -> Columns:
        """Return what filters ask of all products."""
        return Columns(cells_of(self._table))


_NOTHING = ProductState("")
