"""Read a worker's products as index records, to rebuild its index without a model call."""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import numpy as np

from visualsearch.types import BaseRecord, Guess, ImageVector, OfferRecord, Record, VectorsRecord

_TIMEOUT_S = 60.0
_ORDER = (1, 0, 0)


def served_records(
    worker: str, progress: Callable[[int], None] = lambda _: None
) -> tuple[str, int, Iterator[Record]]:
    """Return the worker's model, its dimension, and the records of its searchable products.

    Raises ConnectionError if it does not answer, or its answer is cut off.
    """
    url = f"{worker.rstrip('/')}/v1/products?vectors=1"
    try:
        lines = iter(urlopen(url, timeout=_TIMEOUT_S))  # noqa: S310 - the user named the worker
        head = msgspec.json.decode(next(lines))["index"]
    except (URLError, OSError, ValueError, KeyError, StopIteration) as error:
        raise ConnectionError(f"{url}: {error}; is a worker with the role search up?") from None
    return head["model"], head["dim"], _records(url, head["model"], lines, progress)


def _records(
    url: str, model: str, lines: Iterable[bytes], progress: Callable[[int], None]
) -> Iterator[Record]:
    for count, line in enumerate(lines):
        row = msgspec.json.decode(line)
        if "end" in row:
            return
        if row["searchable"]:
            yield from _product(row, model)
        progress(count)
    raise ConnectionError(f"{url}: the answer was cut off")


def _product(row: dict[str, Any], model: str) -> Iterator[Record]:
    name = row["product_id"]
    base = row["base"] | {"tags": tuple(row["base"]["tags"])}
    yield BaseRecord(name, _ORDER, **base)
    if row["offer"] is not None:
        yield OfferRecord(name, _ORDER, **row["offer"])
    images = tuple(
        ImageVector(
            image["image_id"],
            np.frombuffer(base64.b64decode(image["vector"]), "<f2"),
            image["kind"],
            image["url"],
        )
        for image in row["images"]
    )
    guessed = {
        attribute: Guess(guess["value"], guess["confidence"])
        for attribute, guess in row.get("guessed", {}).items()  # a worker may be older
    }
    yield VectorsRecord(name, _ORDER, model=model, images=images, guessed=guessed)
