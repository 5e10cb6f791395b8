"""Bytes of unknown origin → an RGB picture the right way up, or an ImageError with a code."""

import io
import warnings
from functools import lru_cache

from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from visualsearch.errors import ImageError

MAX_PIXELS = 80_000_000  # more than any camera makes, less than a bomb
MAX_BYTES = 64 * 2**20
# Of all that Pillow reads, what pictures on the web come in; PostScript would start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF", "BMP", "JPEG2000", "PPM", "ICO")

_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def decode_image(data: bytes, max_side: int = 1024) -> Image.Image:
    """Decode the first frame of a picture, its longer side at most `max_side` pixels.

    The format is sniffed from the content. EXIF rotation and colour profile are applied,
    transparency is laid on white, and CMYK, palette, grey and 16-bit pictures become sRGB.

    Raises:
        ImageError: code `image_not_an_image`, `image_truncated`, `image_too_large` (bytes) or
            `image_too_many_pixels`.

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
        image = _upright(_opened(data, max_side))
        try:
            if image.mode in ("RGB", "L", "CMYK"):  # the rest is cheaper on fewer pixels
                image = _shrunk(image, max_side)
            return _shrunk(_rgb(image), max_side)
        except Exception as error:  # a mode that Pillow reads and cannot convert
            text = f"The picture's pixels, {image.mode}, cannot be used: {error}"
            raise ImageError(text, code="image_not_an_image") from error


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(data: bytes, max_side: int) -> Image.Image:
    try:
        image: ImageFile.ImageFile = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError:
        code, message = "image_not_an_image", "The content is no picture in a known format."
        raise ImageError(message, code=code) from None
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_many_pixels") from error
    except Exception as error:  # a header that breaks its decoder
        raise ImageError(f"The picture is damaged: {error}", code="image_truncated") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded.",
            code="image_too_many_pixels",
        )
    try:
        image.draft("RGB", (max_side, max_side))  # JPEG: decode at a half, quarter or eighth
        image.load()
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_many_pixels") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        raise ImageError(f"The picture is cut off: {error}", code="image_truncated") from error
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is no reason to refuse the pixels
        return image.copy()


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE_MODES:
        return _narrowed(image).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = _in_srgb(image.convert("RGBA"))
        ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return _in_srgb(image).convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """Apply the colour profile that the picture carries; without it its colours are others."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        transform = _to_srgb(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile, or one of another mode
        return image


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None where there is nothing to do, as for most pictures."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode != "CMYK" and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    target = "RGBA" if mode == "RGBA" else "RGB"
    return ImageCms.buildTransform(source, _SRGB, mode, target)


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
