"""HTTP client of a worker's products."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from streams.tools.fsck.values import FsckError, ServedProduct

# No proxy of the environment: the pipelines and the worker's other clients use none either.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class WorkerIndex(Struct, frozen=True):
    """Which model's vectors a worker serves, and how far it has applied each log partition."""

    model: str
    dim: int
    positions: dict[int, int]


class _Head(Struct):
    index: WorkerIndex


class _Count(Struct):
    products: int


class _Tail(Struct, forbid_unknown_fields=True):
    end: _Count


class WorkerClient:
    """Reads `GET /v1/products` of the worker at `url`."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def index(self) -> WorkerIndex:
        """Return what the worker says of its index. Raises FsckError."""
        lines = list(self._lines(limit=0))
        try:
            return msgspec.json.decode(lines[0] if lines else b"", type=_Head).index
        except msgspec.DecodeError as error:
            raise FsckError("worker_foreign", f"{self.url} is not a worker: {error}") from None

    def products(self) -> Iterator[ServedProduct]:
        """Yield every product that the worker knows. Raises FsckError, also when cut off."""
        return self._products()

    def product_with_vectors(self, product_id: str) -> ServedProduct | None:
        """Return one product with its vectors; None if the worker does not know it."""
        return next(iter(list(self._products(product_id=product_id, vectors=1))), None)

    def _products(self, **query: str | int) -> Iterator[ServedProduct]:
        count = 0
        last = b""
        for number, line in enumerate(self._lines(**query)):
            if last and number > 1:
                yield self._served(last)
                count += 1
            last = line
        try:
            said = msgspec.json.decode(last, type=_Tail).end.products
        except msgspec.DecodeError:
            said = -1
        if said != count:
            raise FsckError("worker_cut_off", f"{self.url} stopped in the middle of its products")

    def _served(self, line: bytes) -> ServedProduct:
        try:
            return msgspec.json.decode(line, type=ServedProduct)
        except msgspec.DecodeError as error:
            raise FsckError("worker_foreign", f"{self.url}: {error}: {line[:200]!r}") from None

    def _lines(self, **query: str | int) -> Iterator[bytes]:
        """Yield the lines of an answer. Raises FsckError."""
        url = f"{self.url}/v1/products?{urlencode(query)}"
        try:
            with _OPENER.open(url, timeout=self._timeout_s) as answer:
                yield from answer
        except urllib.error.HTTPError as error:
            text = f"{url} answers {error.code}: is it a worker with the role `search`?"
            error.close()
            raise FsckError("worker_foreign", text) from None
        except (OSError, HTTPException, ValueError) as error:
            raise FsckError("worker_unreachable", f"{self.url}: {error}") from None
