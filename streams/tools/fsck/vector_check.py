"""Compare served vectors with fresh embeddings of the same bytes."""

import base64
import binascii
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from visualsearch.contracts.events import ImageSource

LEAST_COSINE = 0.9999
STEP = 16  # images per model call
FETCHERS = 8
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ImageEncoder(Protocol):
    """The part of an encoder that is used here."""

    @property
    def model_id(self) -> str:
        """Return the model id that is stored with its vectors."""

    def encode_images(self, images: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Return a unit row per image."""


class Limits(Struct, frozen=True):
    """Limits of reading an image: bytes, seconds, and folders of local files."""

    bytes: int
    timeout_s: float
    roots: tuple[Path, ...] = ()


class ImageUnreadableError(Exception):
    """An image's bytes cannot be read now."""


@dataclass(frozen=True, slots=True)
class ImageToCheck:
    """An image to compare: where its bytes are, and the vector that is served (base64)."""

    product_id: str
    image_id: str
    sources: tuple[ImageSource, ...]  # more than one if the event names an id twice
    vector: str
    event: str | None

    @property
    def inline(self) -> bool:
        """Whether the event carries the bytes, so that they cannot have changed."""
        return all(source.data is not None for source in self.sources)


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """The result for one image: a cosine, or the problem; SHA-256 digests of its bytes."""

    stored: ImageToCheck
    cosine: float | None = None
    problem: str = ""
    digests: frozenset[str] = frozenset()


def compare(
    images: Iterable[ImageToCheck], encoder: ImageEncoder, limits: Limits
) -> Iterator[ImageComparison]:
    """Fetch, embed and compare images in batches."""
    with ThreadPoolExecutor(FETCHERS) as pool:
        for step in _steps(images):
            loaded = list(pool.map(lambda stored: _load(stored, limits), step))
            yield from _embedded(step, loaded, encoder)


def cosine(fresh: npt.NDArray[np.float32], served: str) -> float:
    """Return the cosine of a vector and a served one; -1 if the served one is invalid."""
    try:
        stored = np.frombuffer(base64.b64decode(served), "<f2").astype(np.float64)
    except (ValueError, binascii.Error):
        return -1.0
    if stored.shape != fresh.shape or not np.isfinite(stored).all() or not stored.any():
        return -1.0
    mine = fresh.astype(np.float64)
    return float(stored @ mine / (np.linalg.norm(stored) * np.linalg.norm(mine)))


def read_image(source: ImageSource, limits: Limits) -> bytes:
    """Return the bytes of an image. Raises ImageUnreadableError."""
    try:
        if source.data is not None:
            text = source.data
            return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
        url = source.url or ""
        if url.startswith(("http://", "https://")):
            with _OPENER.open(url, timeout=limits.timeout_s) as answer:
                data: bytes = answer.read(limits.bytes + 1)
        else:
            data = _local(url, limits).read_bytes()
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageUnreadableError(f"{source.url} answers {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ImageUnreadableError(f"{(source.url or 'inline image')[:200]}: {error}") from None
    if len(data) > limits.bytes:
        raise ImageUnreadableError(f"{url[:200]}: over {limits.bytes} bytes")
    return data


def url_content_changed(
    compared: ImageComparison, hashes: Mapping[tuple[str, str], set[str]]
) -> bool:
    """Return whether the bytes at an image's URL differ from those that were indexed."""
    stored = compared.stored
    indexed = hashes.get((stored.product_id, stored.image_id), set())
    return not stored.inline and bool(indexed) and not (compared.digests & indexed)


def _local(url: str, limits: Limits) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise ValueError("neither http nor https")
    path = Path(unquote(parts.path)).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in limits.roots):
        raise ValueError("outside the folders in `file_roots`")
    return path


def _steps(images: Iterable[ImageToCheck]) -> Iterable[list[ImageToCheck]]:
    step: list[ImageToCheck] = []
    for stored in images:
        step.append(stored)
        if len(step) == STEP:
            yield step
            step = []
    if step:
        yield step


def _load(stored: ImageToCheck, limits: Limits) -> list[bytes] | ImageUnreadableError:
    if not stored.sources:
        return ImageUnreadableError("no source of its bytes is known")
    try:
        return [read_image(source, limits) for source in stored.sources]
    except ImageUnreadableError as error:
        return error


def _embedded(
    step: Sequence[ImageToCheck],
    loaded: Sequence[list[bytes] | ImageUnreadableError],
    encoder: ImageEncoder,
) -> list[ImageComparison]:
    """Embed a batch in one call, or image by image if that fails."""
    flat = [data for each in loaded if isinstance(each, list) for data in each]
    try:
        rows = dict(zip(flat, encoder.encode_images(flat), strict=True)) if flat else {}
    except Exception:  # an image is invalid: the others are embedded one by one
        rows = {}
    return [_judged(s, each, rows, encoder) for s, each in zip(step, loaded, strict=True)]


def _judged(
    stored: ImageToCheck,
    loaded: list[bytes] | ImageUnreadableError,
    rows: Mapping[bytes, npt.NDArray[np.float32]],
    encoder: ImageEncoder,
) -> ImageComparison:
    if isinstance(loaded, ImageUnreadableError):
        return ImageComparison(stored, problem=str(loaded))
    digests = frozenset(hashlib.sha256(data).hexdigest() for data in loaded)
    try:
        fresh = [rows[d] if d in rows else encoder.encode_images([d])[0] for d in loaded]
    except Exception as error:
        return ImageComparison(
            stored, problem=f"its bytes cannot be embedded: {error}", digests=digests
        )
    best = max(cosine(row, stored.vector) for row in fresh)
    return ImageComparison(stored, cosine=best, digests=digests)
