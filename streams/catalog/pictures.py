"""Pictures made small enough to be sent: at most 1,024 pixels, as JPEG."""

import io
import warnings

from PIL import Image

from visualsearch.encoders.images import decode_image
from visualsearch.errors import ImageError

MAX_SIDE = 1024
MAX_BYTES = 2_000_000
_QUALITY = 90


def shrink(data: bytes) -> bytes:
    """Return a picture as a JPEG of at most 1,024 pixels a side and 2 MB.

    A JPEG that is that small keeps its bytes: another compression would only cost quality, and
    the same bytes are recognised as embedded before. Raises ImageError for what is no picture.
    """
    image = decode_image(data, MAX_SIDE)
    if len(data) <= MAX_BYTES and _is_small_jpeg(data):
        return data
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    if out.tell() > MAX_BYTES:  # noise at full size: rare, and no more telling
        out = io.BytesIO()
        image.save(out, "JPEG", quality=60)
    if out.tell() > MAX_BYTES:
        raise ImageError("The picture stays above 2 MB as JPEG.", code="image_too_large")
    return out.getvalue()


def _is_small_jpeg(data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata; `decode_image` has judged the picture
        image = Image.open(io.BytesIO(data))
    return image.format == "JPEG" and max(image.size) <= MAX_SIDE
