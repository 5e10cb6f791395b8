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
    """The bytes of an image, with the validators of the response (ETag, Last-Modified)."""

    data: bytes
    etag: str | None = None
    modified: str | None = None  # Last-Modified, verbatim

    def without_data(self) -> "FetchedImage | None":
        """Return the validators for a conditional request; None if there are none."""
        return replace(self, data=b"") if self.etag or self.modified else None


OWN_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errnos of resources that this process lacks."""


def shorten_url(url: str) -> str:
    """Return the first 200 characters of a URL, for errors."""
    return url if len(url) <= 200 else f"{url[:200]}…"
