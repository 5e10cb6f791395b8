"""Errors that a user can cause, each with a stable code."""


class VisualSearchError(Exception):
    """Base of the library's errors; `code` is stable, `field` is the wrong field, if known."""

    code = "error"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        if code is not None:
            self.code = code


class ImageError(VisualSearchError):
    """An image that cannot be used."""

    code = "image_invalid"


class QueryError(VisualSearchError):
    """A query that cannot be answered."""

    code = "query_invalid"


class EncoderError(VisualSearchError):
    """An encoder that cannot be loaded or used."""

    code = "encoder_unavailable"


class MissingLibraryError(VisualSearchError):
    """An optional library that is needed and not installed."""

    code = "library_missing"
