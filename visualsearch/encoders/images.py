"""Untrusted bytes → an upright RGB image, or an ImageError with a code."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from functools import lru_cache

from PIL import Image, ImageChops, ImageCms, ImageFile

from visualsearch.encoders.image_files import open_image, reraise_system_error
from visualsearch.encoders.image_metadata import (
    END_OF_JPEG,
    JPEG,
    PROFILE_BYTES,
    scan_components,
    scan_starts,
)
from visualsearch.errors import ImageError

LEAST_SHARE = 0.5  # of a JPEG's rows; with fewer, the product itself may be missing

_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_REDUCIBLE_MODES = ("RGB", "L", "CMYK")  # pixels may be averaged before the conversion
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_TILE = 1024  # pixels a side of a tile that is converted at once
_GAP = 2  # pixels are averaged down to this multiple of the final size, then interpolated
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # in EXIF


def decode_image(data: bytes, max_side: int = 1024) -> Image.Image:
    """Decode the first frame of an image, its longer side at most `max_side` pixels.

    The format is sniffed from the content. EXIF rotation and color profile are applied,
    transparency is laid on white, and CMYK, palette, gray and 16-bit images become sRGB. Metadata
    that cannot be read is ignored. A truncated JPEG is used if it has half of its rows.

    Raises:
        ImageError: code `image_not_an_image`, `image_truncated`, `image_too_large` (bytes) or
            `image_too_many_pixels` (a JPEG's scans included).
        MemoryError: the process is out of memory.
        OSError: with an errno: the process is out of descriptors or disk.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bomb warning: our limit is lower
        image = _loaded(data, max_side)
        try:
            upright = _upright(_small(image, max_side), _orientation(image))
        except Exception as error:  # a mode that Pillow reads and cannot convert
            reraise_system_error(error)
            text = f"The image's pixels, {image.mode}, cannot be used: {error}"
            raise ImageError(text, code="image_not_an_image") from error
    upright.info = {}  # orientation and profile are applied
    return upright


def decode_memory(data: bytes, max_side: int = 1024) -> int:
    """Estimate the peak bytes of `decode_image`; 0 for an image that it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = open_image(data, max_side)
    except ImageError:
        return 0
    return opened.memory + 4 * min(opened.pixels, (2 * _GAP * max_side) ** 2)


def _loaded(data: bytes, max_side: int) -> Image.Image:
    opened = open_image(data, max_side)
    try:
        opened.image.load()
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_many_pixels") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        reraise_system_error(error, opened.memory)
        if data.startswith(JPEG) and _has_most_rows(opened.image, data, max_side):
            return _loaded(data + END_OF_JPEG, max_side)
        raise ImageError(f"The image is cut off: {error}", code="image_truncated") from error
    return opened.image


def _has_most_rows(image: ImageFile.ImageFile, data: bytes, max_side: int) -> bool:
    """Return whether a truncated JPEG shows enough of the image.

    With one scan, half of the rows must be there. With several, the first scan must hold all color
    components: it is the whole image, coarsely.
    """
    scans = scan_starts(data)
    if not scans or data.endswith(END_OF_JPEG):
        return False
    if len(scans) > 1:
        return scan_components(data, scans[0]) == len(image.getbands())
    image.tile = []  # no further decoding: `image` holds the rows that were read
    whole = open_image(data + END_OF_JPEG, max_side).image
    try:
        missing = ImageChops.difference(image, whole).getbbox()
    except OSError:
        return False
    return missing is None or missing[1] >= LEAST_SHARE * image.height


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF: use the pixels as they are
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _small(image: Image.Image, max_side: int) -> Image.Image:
    """Return the image in sRGB and its final size, without a second copy in full size."""
    longest = max(image.size)
    share = min(1.0, max_side / longest)
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    if image.mode in _REDUCIBLE_MODES and "transparency" not in image.info:
        return _rgb(_resized(image, size, 1))
    factor = max(1, longest // (_GAP * max_side))
    return _resized(_converted(image, factor), size, factor, image.size)


def _resized(
    image: Image.Image, size: tuple[int, int], factor: int, whole: tuple[int, int] | None = None
) -> Image.Image:
    """Resize an image that was reduced by `factor` from the size `whole`, to `size`."""
    if image.size == size:
        return image
    width, height = whole or image.size
    box = (0.0, 0.0, width / factor, height / factor)
    return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=_GAP)


def _converted(image: Image.Image, factor: int) -> Image.Image:
    """Return the image in sRGB with `factor` x `factor` pixels averaged, tile by tile."""
    side = factor * max(1, _TILE // factor)
    bound = _bound(image, side) if image.mode in _WIDE_MODES else 0.0
    averaged = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for left, top, tile in _tiles(image, side):
        color = _narrowed(tile, bound) if bound else _rgb(tile)
        averaged.paste(color.reduce(factor), (left // factor, top // factor))
    return averaged


def _tiles(image: Image.Image, side: int) -> Iterator[tuple[int, int, Image.Image]]:
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            right, bottom = min(left + side, image.width), min(top + side, image.height)
            yield left, top, image.crop((left, top, right, bottom))


def _rgb(image: Image.Image) -> Image.Image:
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = _in_srgb(image.convert("RGBA"))
        ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return _in_srgb(image).convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert the image to sRGB by its embedded color profile, if it has a usable one."""
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > PROFILE_BYTES or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        transform = _to_srgb(_Profile(profile), image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile, or one of another mode
        return image


class _Profile:
    """A color profile as a cache key: it keeps the digest, not the bytes after `take`."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data
        self._digest = hashlib.sha256(data).digest()

    def take(self) -> bytes:
        """Return the bytes and drop them; call it once."""
        data, self._data = self._data, None
        return data or b""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Profile) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@lru_cache(maxsize=64)
def _to_srgb(profile: _Profile, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None if the profile is sRGB already, as for most images."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile.take()))
    if mode != "CMYK" and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    target = "RGBA" if mode == "RGBA" else "RGB"
    return ImageCms.buildTransform(source, _SRGB, mode, target)


def _bound(image: Image.Image, side: int) -> float:
    """Return the sample value that becomes white, for 16-bit, 32-bit or float samples."""
    extrema = (tile.convert("F").getextrema() for _, _, tile in _tiles(image, side))
    top = max(float(pair[1]) for pair in extrema)  # type: ignore[arg-type]  # one band: two numbers
    return 255.0 if top <= 255 and image.mode in {"I", "F"} else max(65535.0, top)


def _narrowed(image: Image.Image, bound: float) -> Image.Image:
    """Scale samples from 0..`bound` to 8 bits; a plain conversion would clip at 255."""
    scaled = image.convert("F").point(lambda value: value * (255.0 / bound) + 0)
    return scaled.convert("L").convert("RGB")
