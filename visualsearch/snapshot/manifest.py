"""The manifest of a snapshot. It is written last, so a snapshot that has one is complete."""

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
    """The contents of a snapshot; `source` is the caller's JSON, such as the log's offsets."""

    model: str
    dim: int
    index: SnapshotKind
    products: int  # includes delete markers and products with only some records
    rows: int  # vectors
    created_at: float  # seconds since 1970, UTC
    files: Mapping[str, FileEntry]
    source: Mapping[str, Any]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Return the bytes of all files except the manifest."""
        return sum(file.bytes for file in self.files.values())


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON that includes its own SHA-256."""
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
    """Decode a manifest. Raises SnapshotError as `read_manifest`."""
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
    if _signed(fields) != data:  # byte for byte: an edit by hand is damage too
        raise SnapshotError(f"{NAME} has a wrong checksum", code="checksum_wrong")
    try:
        manifest = msgspec.convert(fields, Manifest)
    except msgspec.ValidationError as error:
        raise SnapshotError(f"{NAME}: {error}") from error
    if manifest.files.keys() != FILES[manifest.index]:
        raise SnapshotError(f"{NAME} does not list the files {sorted(FILES[manifest.index])}")
    return manifest


def check_sizes(path: Path, manifest: Manifest) -> None:
    """Check that every file exists in its recorded size. Raises SnapshotError."""
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
    """Check a file's SHA-256; 1 GB takes about a second. Raises SnapshotError."""
    try:
        found = sha256_of(path / name)
    except FileNotFoundError:
        raise SnapshotError(f"{name} is missing", code="file_missing") from None
    except OSError as error:
        raise SnapshotError(f"{name} cannot be read: {error}") from error
    if found != file.sha256:
        raise SnapshotError(f"{name} has a wrong checksum", code="checksum_wrong")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in blocks."""
    hasher = hashlib.sha256()
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def _signed(fields: Mapping[str, Any]) -> bytes:
    """Return the fields as JSON with `sha256`, computed while that field was empty."""
    body = json.dumps({**fields, "sha256": ""}, indent=1, sort_keys=True)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({**fields, "sha256": checksum}, indent=1, sort_keys=True).encode()
