"""Inline images of a message: base64, with or without a `data:` prefix."""

import base64
import binascii

from streams.images.blobs import blob_reference
from streams.images.errors import FetchError


def decode_base64(text: str, limit: int) -> bytes:
    """Decode inline base64, a `data:` URL's included. Raises FetchError with a code."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise FetchError("image_data_invalid", "a data: URL needs `;base64,`")
    if len(text) > (limit + 2) // 3 * 4 + 64:
        raise FetchError("image_too_large", f"inline image over {limit} bytes; send its URL")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FetchError("image_data_invalid", f"`data` is not base64: {error}") from None
    if len(data) > limit:
        raise FetchError("image_too_large", f"inline image over {limit} bytes; send its URL")
    return data


def inline_reference(text: str, limit: int) -> str | None:
    """Return the blob reference of an inline image; None if it cannot be decoded."""
    try:
        return blob_reference(decode_base64(text, limit))
    except FetchError:
        return None
