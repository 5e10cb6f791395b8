"""Inline pictures of product events, kept by their content: `blob:<sha256>`."""

import hashlib
import re
import uuid

import fsspec

from streams.private_files import hide, make_folder

SCHEME = "blob:"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """A folder of pictures on any fsspec file system; writing the same bytes twice is free."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def put(self, data: bytes) -> str:
        """Store `data` and return its reference. A reader never sees half a blob."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if not self._fs.exists(path):
            make_folder(self._fs, path.rpartition("/")[0])
            partial = f"{path}.{uuid.uuid4().hex}.tmp"
            self._fs.pipe_file(partial, data)
            hide(self._fs, partial)
            self._fs.mv(partial, path)
        return SCHEME + digest

    def get(self, reference: str) -> bytes:
        """Return the bytes of a reference. Raises FileNotFoundError, also for what is no digest.

        A reference may come from outside; nothing but a digest may become a path.
        """
        digest = reference.removeprefix(SCHEME)
        if not _DIGEST.fullmatch(digest):
            raise FileNotFoundError("not a reference of this store")
        data: bytes = self._fs.cat_file(self._path(digest))
        return data

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}"
