"""Photos made from other images."""

import io

from PIL import Image, ImageOps

from visualsearch.encoders.images import decode_image

_PHONE = (4032, 3024)
_THUMBNAIL = 360  # pixels
_EXIF_ORIENTATION = 0x0112


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode an image."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def thumbnail(data: bytes) -> bytes:
    """Return an image large enough for a page of results."""
    return jpeg(decode_image(data, _THUMBNAIL))


def mirrored(data: bytes) -> bytes:
    """Return an image's mirror image: the same product in new bytes."""
    return jpeg(ImageOps.mirror(decode_image(data)))


def phone_sized(data: bytes) -> bytes:
    """Return an image as a phone would store it: 12 megapixels, grainy, stored sideways."""
    upright = ImageOps.fit(decode_image(data), (_PHONE[1], _PHONE[0]))
    grain = Image.effect_noise((1008, 756), 24).resize(upright.size).convert("RGB")
    sideways = Image.blend(upright, grain, 0.06).rotate(90, expand=True)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6  # "turn me clockwise to look at me"
    out = io.BytesIO()
    sideways.save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()
