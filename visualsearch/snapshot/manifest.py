"""What a snapshot says of itself: written last, so that what has one is whole."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from visualsearch.snapshot.errors import SnapshotError

FORMAT = 1
NAME = "manifest.json"
PRODUCTS, ROWS, VECTORS = "products.arrow", "rows.arrow", "vectors.i16"
LISTS, CODER = "index.ivfpq", "coder.npz"
BLOCK = 1 << 20

SnapshotKind = Literal["flat", "ivfpq"]
FILES: dict[SnapshotKind, frozenset[str]] = {
    "flat": frozenset({PRODUCTS, ROWS, VECTORS}),
    "ivfpq": frozenset({PRODUCTS, ROWS, VECTORS, LISTS, CODER}),
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The size of a file and the SHA-256 of its bytes, in hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is in a snapshot; `source` is the caller's: JSON that says what it was made from."""

    model: str
    dim: int
    index: SnapshotKind
    products: int  # known ones, delete markers and half-known ones included
    rows: int  # vectors
    created_at: float  # seconds since 1970, UTC
    files: Mapping[str, FileEntry]
    source: Mapping[str, Any]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Return the size of all files but the manifest."""
        return sum(file.bytes for file in self.files.values())


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON with a checksum of its own."""
    return _signed(asdict(manifest))


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of the snapshot in the folder `path`.

    Raises SnapshotError: `file_missing`, `format_newer`, `checksum_wrong`, `unreadable`.
    """
    try:
        return decode_manifest((path / NAME).read_bytes())
    except FileNotFoundError:
        raise SnapshotError(f"{path.name} has no {NAME}", code="file_missing") from None
    except OSError as error:
        raise SnapshotError(f"{NAME} cannot be read: {error}") from error


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest that the JSON holds. Raises SnapshotError as `read_manifest`."""
    try:
        fields = json.loads(data)
        version = fields["format"]
        newer = isinstance(version, int) and version > FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotError(f"{NAME} is not a manifest: {error}") from error
    if newer:
        raise SnapshotError(
            f"format {version} is newer than {FORMAT}: use a newer visualsearch",
            code="format_newer",
        )
    fields.pop("sha256", None)
    if _signed(fields) != data:  # byte for byte: what was changed by hand is damaged too
        raise SnapshotError(f"{NAME} does not have its checksum", code="checksum_wrong")
    try:
        manifest = msgspec.convert(fields, Manifest)
    except msgspec.ValidationError as error:
        raise SnapshotError(f"{NAME}: {error}") from error
    if manifest.files.keys() != FILES[manifest.index]:
        raise SnapshotError(f"{NAME} names other files than {sorted(FILES[manifest.index])}")
    return manifest


def check_sizes(path: Path, manifest: Manifest) -> None:
    """Raise SnapshotError unless every file is there and as long as it was."""
    for name, file in manifest.files.items():
        try:
            size = (path / name).stat().st_size
        except FileNotFoundError:
            raise SnapshotError(f"{name} is missing", code="file_missing") from None
        except OSError as error:
            raise SnapshotError(f"{name} cannot be read: {error}") from error
        if size != file.bytes:
            raise SnapshotError(
                f"{name} has {size:,} bytes instead of {file.bytes:,}", code="checksum_wrong"
            )


def check_file(path: Path, name: str, file: FileEntry) -> None:
    """Raise SnapshotError unless the file has its checksum; 1 GB takes about a second."""
    try:
        found = sha256_of(path / name)
    except FileNotFoundError:
        raise SnapshotError(f"{name} is missing", code="file_missing") from None
    except OSError as error:
        raise SnapshotError(f"{name} cannot be read: {error}") from error
    if found != file.sha256:
        raise SnapshotError(f"{name} does not have its checksum", code="checksum_wrong")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in blocks."""
    hasher = hashlib.sha256()
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def _signed(fields: Mapping[str, Any]) -> bytes:
    """Return the fields as JSON, with the SHA-256 of that JSON among them."""
    body = json.dumps({**fields, "sha256": ""}, indent=1, sort_keys=True)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({**fields, "sha256": checksum}, indent=1, sort_keys=True).encode()
