"""Content-addressed store of inline images: `blob:<sha256>`."""

import contextlib
import hashlib
import re
import uuid

import fsspec

from streams.config.private_files import make_folder, restrict_to_owner

SCHEME = "blob:"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobMissingError(FileNotFoundError):
    """A blob that is not in the store; the embedding pipeline may still be storing it."""


def blob_reference(data: bytes) -> str:
    """Return the reference of these bytes, stored or not."""
    return SCHEME + hashlib.sha256(data).hexdigest()


class BlobStore:
    """A folder of images on any fsspec file system. Writes are idempotent."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def put(self, data: bytes) -> str:
        """Store `data` and return its reference. A reader never sees half a blob."""
        reference = blob_reference(data)
        path = self._path(reference.removeprefix(SCHEME))
        if self._fs.exists(path):
            return reference
        make_folder(self._fs, path.rpartition("/")[0])
        partial = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            self._fs.pipe_file(partial, data)
            restrict_to_owner(self._fs, partial)
            self._fs.mv(partial, path)
        except Exception:
            with contextlib.suppress(Exception):  # else retries fill the disk
                self._fs.rm_file(partial)
            raise
        return reference

    def get(self, reference: str) -> bytes:
        """Return the bytes of a reference.

        Only a digest becomes a path, since references come from outside. Raises
        FileNotFoundError for an invalid reference, BlobMissingError for an absent blob.
        """
        digest = reference.removeprefix(SCHEME)
        if not _DIGEST.fullmatch(digest):
            raise FileNotFoundError("not a reference of this store")
        try:
            data: bytes = self._fs.cat_file(self._path(digest))
        except FileNotFoundError as error:
            raise BlobMissingError(f"{reference} is not in the blob store") from error
        return data

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}"
