"""Product events as a lane reads them, and pictures as a host gives them."""

import base64
import json
from typing import Any

from streams.fetch import Fetched, FetchError
from streams.messages import SourceMessage
from tests.fakes import jpeg

RED, BLUE = jpeg((255, 0, 0)), jpeg((0, 0, 255))


def message(
    offset: int, kind: str, product_id: str = "p", version: int | None = None, **product: Any
) -> SourceMessage:
    """Return a product event at an offset."""
    if kind in ("product-created", "product-updated"):
        product = {"title": "T", "images": []} | product
    body = {"event_id": "e", "event_type": kind, "occurred_at": "2026-05-01T12:00:00Z",
            "version": offset if version is None else version,
            "product": {"product_id": product_id} | product}  # fmt: skip
    return SourceMessage("t", 0, offset, 1000, product_id.encode(), json.dumps(body).encode())


def inline(data: bytes) -> dict[str, str]:
    """Return a picture as an event carries it."""
    return {"data": base64.b64encode(data).decode()}


class Pictures:
    """A fetcher over a dict; anything else is a 404."""

    def __init__(self, **pictures: bytes | Exception) -> None:
        self.pictures = pictures
        self.asked: list[tuple[str, float | None]] = []

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> Fetched:
        """Return the picture, or raise what is there instead of it."""
        self.asked.append((url, timeout_s))
        found = self.pictures.get(url, FetchError("image_http_404", "absent", attempts=2))
        if isinstance(found, Exception):
            raise found
        return Fetched(found, etag='"1"')
