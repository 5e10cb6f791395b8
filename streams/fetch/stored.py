"""Pictures that need no HTTP: `blob:` references, files and object stores below allowed roots."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from streams.blobs import SCHEME as BLOB
from streams.blobs import BlobMissingError, BlobStore
from streams.fetch.errors import FetchError, short
from streams.settings import Settings

READERS = 16  # reads at the same time


class StoredPictures:
    """Reads on threads of its own: a store that hangs must not use up those of everyone."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._limit = settings.image_max_bytes
        self._folders = [root.resolve() for root in settings.file_roots]
        self._stores = tuple(f"{root.rstrip('/')}/" for root in settings.store_roots)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store")

    def reader(self, url: str) -> Callable[[str], bytes] | None:
        """Return what reads such URLs; None for those of no kind of ours."""
        if url.startswith(BLOB):
            return self._blobs.get
        if url.startswith("file:"):
            return self._file
        # A store's names are no paths, but a local one behind fsspec would follow the dots.
        if url.startswith(self._stores) and ".." not in url.split("/"):
            return self._object
        return None

    async def get(self, url: str, read: Callable[[str], bytes]) -> bytes:
        """Return the bytes. Raises FetchError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, read, url)
        except FetchError:
            raise
        except ValueError as error:  # a null byte in a path
            raise FetchError("image_url_invalid", f"{short(url)}: {error}") from None
        except BlobMissingError as error:  # it may be stored later than it is named
            raise FetchError("image_unreachable", str(error), transient=True) from None
        except OSError as error:
            raise FetchError("image_unreachable", f"{short(url)}: {error}") from None
        except Exception as error:  # a store's own
            text = f"{short(url)}: {error!r}"
            raise FetchError("image_unreachable", text, transient=True) from error

    def close(self) -> None:
        """Forget the reads under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _file(self, url: str) -> bytes:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not any(path.is_relative_to(root) for root in self._folders):
            text = f"{short(url)}: outside of the folders in `file_roots`"
            raise FetchError("image_url_forbidden", text)
        if path.stat().st_size > self._limit:
            raise self._too_large(url)
        return path.read_bytes()

    def _object(self, url: str) -> bytes:
        import fsspec

        store: Any
        store, path = fsspec.core.url_to_fs(url)
        data: bytes = store.cat_file(path, start=0, end=self._limit + 1)
        if len(data) > self._limit:
            raise self._too_large(url)
        return data

    def _too_large(self, url: str) -> FetchError:
        return FetchError("image_too_large", f"{short(url)}: over {self._limit} bytes")
