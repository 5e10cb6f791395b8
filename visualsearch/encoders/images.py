"""Bytes of unknown origin → an RGB picture the right way up, or an ImageError with a code."""

import io
import warnings

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from visualsearch.errors import ImageError

MAX_PIXELS = 80_000_000  # more than any camera makes, less than a bomb
MAX_BYTES = 64 * 2**20

_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "F")


def decode_image(data: bytes, max_side: int = 1024) -> Image.Image:
    """Decode the first frame of a picture, its longer side at most `max_side` pixels.

    The format is sniffed from the content. EXIF rotation is applied, transparency is laid on
    white, and CMYK, palette, grey and 16-bit pictures become RGB.

    Raises:
        ImageError: code `image_not_an_image`, `image_truncated` or `image_too_large`.

    """
    if not data:
        raise ImageError("The picture is empty.", code="image_not_an_image")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The picture has {len(data):,} bytes; at most {MAX_BYTES:,} are read.",
            code="image_too_large",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bomb warning: our limit is lower
        return _shrunk(_upright_rgb(_opened(data, max_side)), max_side)


def _opened(data: bytes, max_side: int) -> Image.Image:
    try:
        image: ImageFile.ImageFile = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        code, message = "image_not_an_image", "The content is no picture in a known format."
        raise ImageError(message, code=code) from None
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_large") from error
    except Exception as error:  # a header that breaks its decoder
        raise ImageError(f"The picture is damaged: {error}", code="image_truncated") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded.",
            code="image_too_large",
        )
    try:
        image.draft("RGB", (max_side, max_side))  # JPEG: decode at a half, quarter or eighth
        image.load()
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_large") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        raise ImageError(f"The picture is cut off: {error}", code="image_truncated") from error
    return image


def _upright_rgb(image: Image.Image) -> Image.Image:
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is no reason to refuse the pixels
        image = image.copy()
    if image.mode in _WIDE_MODES:
        return _narrowed(image).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return image.convert("RGB")


def _narrowed(image: Image.Image) -> Image.Image:
    """Bring 16-bit, 32-bit and float samples to 8 bits; converting them would clip at 255."""
    if image.mode == "F":
        image = image.point(lambda value: value * 1 + 0)
    extrema = image.convert("F").getextrema()
    top = float(extrema[1])  # type: ignore[arg-type]  # one band: a pair of numbers
    bound = 255.0 if top <= 255 and image.mode in {"I", "F"} else max(65535.0, top)
    return image.convert("F").point(lambda value: value * (255.0 / bound) + 0).convert("L")


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    longest = max(image.size)
    if longest <= max_side:
        return image
    size = (
        max(1, round(image.width * max_side / longest)),
        max(1, round(image.height * max_side / longest)),
    )
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
