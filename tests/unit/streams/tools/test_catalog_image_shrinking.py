"""Images made small before they are sent: whatever a worker decodes can be sent."""

import pytest
from PIL import Image

from streams.tools.catalog.image_shrinking import MAX_SIDE, shrink
from tests.unit.visualsearch.encoders.test_image_metadata import BIG, profile_chunk, with_chunk
from tests.unit.visualsearch.encoders.test_images import encoded, halves, near
from visualsearch.encoders.images import decode_image
from visualsearch.errors import ImageError


def test_what_pillow_alone_would_refuse_is_sent() -> None:
    """A PNG with a large profile, and a JPEG of more pixels than Pillow opens."""
    assert near(decode_image(shrink(with_chunk(profile_chunk(bytes(BIG))))), (10, 20), (255, 0, 0))
    large = encoded(Image.new("L", (16_320, 12_240), 90), "JPEG")
    assert decode_image(shrink(large)).size == (1024, 768)


@pytest.mark.parametrize("padding", [0, 3])
def test_a_small_jpeg_keeps_its_bytes(padding: int) -> None:
    """Also with fill bytes before a marker; a larger one becomes small."""
    small = encoded(halves(), "JPEG")
    small = small[:2] + bytes([0xFF]) * padding + small[2:]
    assert shrink(small) == small
    twice = encoded(halves().resize((2 * MAX_SIDE, 2 * MAX_SIDE)), "JPEG")
    assert decode_image(shrink(twice), 4 * MAX_SIDE).size == (MAX_SIDE, MAX_SIDE)


def test_a_small_png_becomes_a_jpeg() -> None:
    """And what is no image is refused."""
    assert shrink(encoded(halves(), "PNG")).startswith(b"\xff\xd8")
    with pytest.raises(ImageError):
        shrink(b"no image")
