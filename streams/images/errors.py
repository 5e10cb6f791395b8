"""Results of a fetch: the bytes with their validators, or a coded error."""

import errno
from dataclasses import dataclass, replace


class FetchError(Exception):
    """An image that could not be fetched.

    `transient`: a later attempt may succeed. `host_failed`: the host is at fault, not this file.
    `attempts` counts the requests to the host; 0 if there was none.
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
class FetchedImage:
    """The bytes of an image, and what its host calls this version of them."""

    data: bytes
    etag: str | None = None
    modified: str | None = None  # Last-Modified, as it came

    def without_data(self) -> "FetchedImage | None":
        """Return this version to ask its host for a change; None if its host has no name for it."""
        return replace(self, data=b"") if self.etag or self.modified else None


OWN_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errnos of resources that this process lacks."""


def shorten_url(url: str) -> str:
    """Return a URL as an error may show it."""
    return url if len(url) <= 200 else f"{url[:200]}…"
