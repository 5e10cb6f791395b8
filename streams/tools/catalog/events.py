"""Turn a catalog's row into a product event, or into a rejected row."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.tools.catalog.image_shrinking import shrink
from streams.tools.catalog.rows import RejectedRow, Row
from visualsearch.contracts.errors import SchemaError, from_validation
from visualsearch.contracts.events import CHOICES, Product, ProductCreated, ProductUpdated
from visualsearch.errors import ImageError

EventType = Literal["created", "updated"]


def row_product(row: Row, folder: Path) -> Product | RejectedRow:
    """Read a row's images and check it as the worker's codec does. Raises nothing."""
    try:
        images = row.product.get("images")
        if isinstance(images, list):
            inlined = [_inline(image, f"images[{n}]", folder) for n, image in enumerate(images)]
            return to_product({**row.product, "images": inlined}, lax=row.lax)
        return to_product(row.product, lax=row.lax)
    except SchemaError as error:
        return RejectedRow(row.where, error.code, str(error), error.field, row.position)


def to_product(value: Mapping[str, Any], *, lax: bool = False) -> Product:
    """Check a product. Raises SchemaError. `lax` converts text such as "12.50" and "true"."""
    try:
        return msgspec.convert(dict(value), Product, strict=not lax)
    except msgspec.ValidationError as error:
        raise from_validation(error, dict(value), CHOICES) from None


def product_event(
    product: Product, event_id: str, now: datetime, kind: EventType = "created"
) -> ProductCreated | ProductUpdated:
    """Return a product-created or a product-updated event."""
    cls = ProductCreated if kind == "created" else ProductUpdated
    return cls(event_id=event_id, occurred_at=now, product=product)


def _inline(image: Any, field: str, folder: Path) -> Any:
    """Replace the path of an image by its bytes; a URL stays as it is. Raises SchemaError."""
    if not isinstance(image, dict) or not ({"path", "data"} & image.keys()):
        return image  # a URL, or nothing that the schema's check would let pass
    if "path" in image and {"url", "data"} & image.keys():
        raise SchemaError("field_invalid", f"{field}: give one of path, url, data", field=field)
    rest = {name: value for name, value in image.items() if name != "path"}
    name = "path" if "path" in image else "data"
    raw = image[name]
    if not isinstance(raw, str):
        text = f"{field}.{name}: expected a string"
        raise SchemaError("field_invalid", text, field=f"{field}.{name}")
    try:
        data = (folder / raw).read_bytes() if name == "path" else _decode(raw)
        return rest | {"data": base64.b64encode(shrink(data)).decode()}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        code = "image_unreadable" if name == "path" else "image_data_invalid"
        shown = f" {raw}" if name == "path" else ""
        raise SchemaError(code, f"{field}.{name}:{shown} {reason}", field=field) from None
    except ImageError as error:
        shown = f" {raw}" if name == "path" else ""
        raise SchemaError(error.code, f"{field}.{name}:{shown} {error}", field=field) from None


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(";base64,")[2] or text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None
