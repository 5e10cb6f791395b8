"""The state of one product in a worker's index, and why it is not searchable."""

from dataclasses import asdict
from typing import Any

import msgspec

from visualsearch.index.state import ProductState
from visualsearch.search.explain import why_not


def product_json(product_id: str, model: str, state: ProductState | None) -> dict[str, Any]:
    """Return the JSON of `GET /v1/products/{product_id}`; all fields are always present."""
    base = None if state is None else state.base
    offer = None if state is None else state.offer
    images = () if state is None else state.images
    orders = {"base": None, "offer": None, "vectors": None} if state is None else state.orders
    return {
        "product_id": product_id,
        "model": model,
        "known": state is not None,
        "searchable": state is not None and state.searchable,
        "why": why_not(state),
        "orders": dict(orders),
        "base": None if base is None else _fields(base),
        "offer": None if offer is None else _fields(offer),
        "guessed": {}
        if state is None
        else {name: asdict(guess) for name, guess in state.guessed.items()},
        "images": [msgspec.structs.asdict(image) for image in images],
    }


def _fields(record: Any) -> dict[str, Any]:
    fields = msgspec.structs.asdict(record)
    for redundant in ("product_id", "order"):
        del fields[redundant]
    return fields
