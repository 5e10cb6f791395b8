"""What a fetch gives: bytes and what their host calls them, or a coded error."""

import errno
from dataclasses import dataclass, replace


class FetchError(Exception):
    """An image that cannot be had.

    `transient` says that a later try may succeed. `host_failed` says whose fault it is: the
    host's, which would fail with any file now, or else this file's. `attempts` counts how often
    the host was asked; 0 where it was not, and then nothing is known of the file.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        transient: bool = False,
        host_failed: bool = False,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.transient = transient
        self.host_failed = host_failed
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of an image, and what its host calls this version of them."""

    data: bytes
    etag: str | None = None
    modified: str | None = None  # Last-Modified, as it came

    def without_data(self) -> "Fetched | None":
        """Return this version to ask its host for a change; None if its host has no name for it."""
        return replace(self, data=b"") if self.etag or self.modified else None


OWN_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Of an OSError's numbers those that say what this process lacks."""


def short(url: str) -> str:
    """Return a URL as an error may show it."""
    return url if len(url) <= 200 else f"{url[:200]}…"
