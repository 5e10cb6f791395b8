"""What a fetch gives: bytes and what their host calls them, or a coded error."""

from dataclasses import dataclass


class FetchError(Exception):
    """A picture that cannot be had; `transient` says that a later try may succeed."""

    def __init__(
        self, code: str, message: str, *, transient: bool = False, attempts: int = 1
    ) -> None:
        super().__init__(message)
        self.code = code
        self.transient = transient
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a picture, and what its host calls this version of them."""

    data: bytes
    etag: str | None = None
    modified: str | None = None  # Last-Modified, as it came


def short(url: str) -> str:
    """Return a URL as an error may show it."""
    return url if len(url) <= 200 else f"{url[:200]}…"
