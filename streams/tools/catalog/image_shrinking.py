"""Shrink images before they are sent: at most 1,024 pixels a side, as JPEG."""

import io

from visualsearch.encoders.image_files import open_image
from visualsearch.encoders.image_metadata import JPEG
from visualsearch.encoders.images import decode_image
from visualsearch.errors import ImageError

MAX_SIDE = 1024
MAX_BYTES = 2_000_000
_QUALITY = 90
_FULL_SIZE = 2**16  # above any JPEG's side: no draft


def shrink(data: bytes) -> bytes:
    """Return an image as a JPEG of at most 1,024 pixels a side and 2 MB.

    A JPEG that is already so small keeps its bytes: compressing again costs quality, and known
    bytes are not embedded again. Raises ImageError for invalid images.
    """
    image = decode_image(data, MAX_SIDE)
    if len(data) <= MAX_BYTES and _is_small_jpeg(data):
        return data
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    if out.tell() > MAX_BYTES:  # noise at full size: rare
        out = io.BytesIO()
        image.save(out, "JPEG", quality=60)
    if out.tell() > MAX_BYTES:
        raise ImageError("The image stays above 2 MB as JPEG.", code="image_too_large")
    return out.getvalue()


def _is_small_jpeg(data: bytes) -> bool:
    if not data.startswith(JPEG):
        return False
    try:
        return max(open_image(data, _FULL_SIZE).image.size) <= MAX_SIDE
    except ImageError:  # decoded above in a smaller size
        return False
