"""Images that need no HTTP: `blob:` references, files and object stores below allowed roots."""

import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from streams.config.settings import Settings
from streams.images.blobs import SCHEME as BLOB
from streams.images.blobs import BlobMissingError, BlobStore
from streams.images.bounded_threads import BoundedThreads, NoThreadError
from streams.images.errors import OWN_ERRORS, FetchError, shorten_url
from streams.images.places import FILE, absolute_folders, file_url_path, matching_root

READERS = 16  # concurrent, per root
_FOR_GOOD = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_FOR_GOOD_NUMBERS = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV}
# Never block on a pipe or device; a link can only have appeared after resolving.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image below one root; a hanging root does not block the others."""

    url: str
    _read: Callable[[str], bytes]
    _place: str
    _readers: BoundedThreads

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a reader thread. Raises FetchError `image_host_down` if all of them hang."""
        try:
            async with self._readers.permit():
                yield
        except NoThreadError as error:
            text = f"{self._place}: not read, {error}"
            raise FetchError("image_host_down", text, transient=True, attempts=0) from None

    async def get(self) -> bytes:
        """Return the bytes; within a permit. Raises FetchError."""
        try:
            return await self._readers.run(lambda: self._read(self.url))
        except FetchError:
            raise
        except ValueError as error:  # a null byte in a path
            raise FetchError("image_url_invalid", f"{shorten_url(self.url)}: {error}") from None
        except BlobMissingError as error:  # it may be referenced before it is stored
            raise FetchError("image_unreachable", str(error), transient=True) from None
        except OSError as error:
            raise _unreadable(self.url, error) from None
        except MemoryError as error:
            raise _short_of_resources(self.url, error) from None
        except Exception as error:  # a store's own
            text = f"{shorten_url(self.url)}: {error!r}"
            raise FetchError("image_unreachable", text, transient=True) from error


class StoredImages:
    """Finds the root of a URL and reads images below it, within limits."""

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._limit = settings.image_max_bytes
        self._folders = absolute_folders(settings.file_roots)
        self._stores = tuple(f"{root.rstrip('/')}/" for root in settings.store_roots)
        places = [BLOB, FILE, *map(str, self._folders), *self._stores]
        self._readers = {place: BoundedThreads("store", READERS) for place in places}

    def find(self, url: str) -> StoredImage | None:
        """Return the stored image of a URL; None for other URLs."""
        if url.startswith(BLOB):
            return self._image(url, self._blobs.get, BLOB)
        if url.startswith(FILE):
            place = str(matching_root(url, self._folders) or FILE)
            return self._image(url, self._file, place)
        # A store's names are no paths, but a local one behind fsspec would follow the dots.
        if url.startswith(self._stores) and ".." not in url.split("/"):
            store = next(store for store in self._stores if url.startswith(store))
            return self._image(url, self._object, store)
        return None

    def _image(self, url: str, read: Callable[[str], bytes], place: str) -> StoredImage:
        return StoredImage(url, read, place, self._readers[place])

    def _file(self, url: str) -> bytes:
        path = file_url_path(url)
        if matching_root(url, self._folders) is None:  # nothing outside is even resolved
            raise _outside_roots(url)
        path = path.resolve()
        if not any(path.is_relative_to(root.resolve()) for root in self._folders):
            raise _outside_roots(url)
        # Checked before opening, which may affect a device, and after: the file may be replaced.
        _check_regular(url, os.lstat(path))
        with os.fdopen(os.open(path, _FLAGS), "rb") as file:
            _check_regular(url, os.fstat(file.fileno()))
            data = file.read(self._limit + 1)
        return self._within_limit(url, data)

    def _object(self, url: str) -> bytes:
        import fsspec

        store: Any
        store, path = fsspec.core.url_to_fs(url)
        data: bytes = store.cat_file(path, start=0, end=self._limit + 1)
        return self._within_limit(url, data)

    def _within_limit(self, url: str, data: bytes) -> bytes:
        if len(data) > self._limit:
            raise FetchError("image_too_large", f"{shorten_url(url)}: over {self._limit} bytes")
        return data


def _outside_roots(url: str) -> FetchError:
    text = f"{shorten_url(url)}: outside of the folders in `file_roots`"
    return FetchError("image_url_forbidden", text)


def _check_regular(url: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        text = f"{shorten_url(url)}: no regular file, but a folder, pipe, socket, device or link"
        raise FetchError("image_url_invalid", text)


def _unreadable(url: str, error: OSError) -> FetchError:
    """Return the FetchError of an OSError: a fault of the file, its root or this process."""
    if error.errno in OWN_ERRORS:
        return _short_of_resources(url, error)
    text = f"{shorten_url(url)}: {error}"
    for_good = isinstance(error, _FOR_GOOD) or error.errno in _FOR_GOOD_NUMBERS
    return FetchError("image_unreachable", text, transient=not for_good, host_failed=not for_good)


def _short_of_resources(url: str, error: Exception) -> FetchError:
    text = f"{shorten_url(url)}: not read, the worker is short of resources: {error!r}"
    return FetchError("resources_exhausted", text, transient=True, attempts=0)
