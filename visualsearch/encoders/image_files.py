"""Untrusted bytes → a Pillow image with only its header read, and a memory estimate.

A file of 3 kB can hold 80 million pixels. The decoder's memory is estimated from the header, so
that an image can be refused, or queued, before the memory is allocated.
"""

import io
import struct
from dataclasses import dataclass
from functools import lru_cache

from PIL import (
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)
from PIL.JpegImagePlugin import JpegImageFile

from visualsearch.encoders.image_metadata import (
    JPEG,
    PNG,
    scan_components,
    scan_starts,
    strip_jpeg,
    strip_png,
)
from visualsearch.errors import ImageError

MAX_PIXELS = 80_000_000  # as decoded: a JPEG of 200 megapixels is read at an eighth of its size
MAX_BYTES = 64 * 2**20
MAX_MEMORY = 640 * 2**20  # of one decode; WebP reaches it at 42 megapixels, RGBA PNG at 167
MAX_SCANS = 100  # of a JPEG: progressive ones have about ten; an empty scan takes three bytes
MAX_SCANNED = 50 * MAX_PIXELS  # pixels of a JPEG times its scans: seconds of work
# Image formats of the web. Pillow reads more; for PostScript it would start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF", "BMP", "JPEG2000", "PPM", "ICO")

# Bytes per decoded pixel while a format's decoder runs, where it needs more than the image itself.
# WebP: two canvases, a copy and the image. AVIF: planes of up to 16 bits, a copy and the image.
# JPEG 2000: 32 bits per component, twice.
_DECODER_BYTES = {"WEBP": 16, "AVIF": 20, "HEIF": 20, "JPEG2000": 26}
_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP, _TILE_LENGTH = 258, 277, 278, 323  # TIFF
_COEFFICIENT_BYTES = 2  # of a JPEG in several scans: all coefficients are kept until the last scan


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image whose pixels are not read yet.

    `pixels` is the number of pixels to decode, `memory` an estimate of the bytes that takes.
    """

    image: ImageFile.ImageFile
    pixels: int
    memory: int


def open_image(data: bytes, max_side: int) -> OpenedImage:
    """Read an image's header and set its decoder to its smallest size above `max_side` pixels.

    Raises:
        ImageError: code `image_not_an_image`, `image_truncated`, `image_too_large` (bytes) or
            `image_too_many_pixels` (pixels, the memory that they take, or scans).
        MemoryError: the process is out of memory.

    """
    if not data:
        raise ImageError("The image is empty.", code="image_not_an_image")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The image has {len(data):,} bytes; at most {MAX_BYTES:,} are read.",
            code="image_too_large",
        )
    try:
        image = _open_lazily(data)
        width, height, memory = _set_decode_size(image, data, max_side)
    except ImageError:
        raise
    except UnidentifiedImageError:
        text = "The content is no image in a known format."
        raise ImageError(text, code="image_not_an_image") from None
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), code="image_too_many_pixels") from error
    except Exception as error:  # a header that breaks its decoder
        reraise_system_error(error, MAX_MEMORY)
        raise ImageError(f"The image is damaged: {error}", code="image_truncated") from error
    if width * height > MAX_PIXELS or memory > MAX_MEMORY:
        raise ImageError(
            f"The image, {image.format}, has {width} x {height} pixels to decode in "
            f"{memory:,} bytes; at most {MAX_PIXELS:,} are decoded in {MAX_MEMORY:,}.",
            code="image_too_many_pixels",
        )
    return OpenedImage(image, width * height, memory)


def reraise_system_error(error: Exception, memory: int = 0) -> None:
    """Raise an error of the system; return if it is a decoder's error about the image.

    A decoder's own OSError has no errno. Most decoders do not report a lack of memory, so this
    tries to allocate the decoder's `memory` bytes. Untouched zeroed bytes take address space only.

    Raises:
        MemoryError: the process is out of memory.
        OSError: with an errno: the process is out of descriptors or disk.

    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise error
    try:
        bytes(memory)
    except MemoryError:
        raise MemoryError(f"decoding an image takes {memory:,} bytes") from error
    if "out of memory" in str(error):
        raise MemoryError(str(error)) from error


def _open_lazily(data: bytes) -> ImageFile.ImageFile:
    if data.startswith(JPEG):
        # `Image.open` would apply its limit on pixels to the full size, before the draft mode.
        return JpegImageFile(io.BytesIO(strip_jpeg(data)))
    if data.startswith(PNG):
        data, profile = strip_png(data)
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if profile is not None:
            image.info["icc_profile"] = profile
        return image
    return Image.open(io.BytesIO(data), formats=_formats())


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _set_decode_size(
    image: ImageFile.ImageFile, data: bytes, max_side: int
) -> tuple[int, int, int]:
    """Set the size to decode to. Return its width and height in pixels, and the bytes it takes."""
    memory = 0
    (width, height), form = image.size, image.format
    if isinstance(image, JpegImageFile):
        memory = _coefficients(image, data)
        image.draft("RGB", (max_side, max_side))  # 1/2, 1/4 or 1/8 of the size
        width, height = image.size
    elif isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        reduction = _reduction(image.size, data, max_side)
        image.reduce = reduction
        width, height = -(-width >> reduction), -(-height >> reduction)
    elif isinstance(image, IcoImagePlugin.IcoImageFile):  # the container's size may differ
        width, height = _icon_size(data, image.ico.entry[0].offset)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        memory = _strip_bytes(image)
    per_pixel = _DECODER_BYTES.get(form or "", _MODE_BYTES.get(image.mode, 4))
    return width, height, memory + width * height * per_pixel


def _coefficients(image: JpegImageFile, data: bytes) -> int:
    """Return the bytes of the coefficients that a JPEG in several scans keeps; 0 for one scan.

    Raises ImageError `image_too_many_pixels` for too many scans.
    """
    scans = scan_starts(data)
    single = bool(scans) and scan_components(data, scans[0]) == image.layers
    if single and "progressive" not in image.info:
        return 0
    _check_scans(image, len(scans))
    samples = [across * down for _, across, down, _ in image.layer]
    most = max((across for _, across, _, _ in image.layer), default=1) * max(
        (down for _, _, down, _ in image.layer), default=1
    )
    pixels = image.size[0] * image.size[1]
    return _COEFFICIENT_BYTES * pixels * sum(samples) // max(1, most)


def _check_scans(image: JpegImageFile, scans: int) -> None:
    width, height = image.size
    if scans > MAX_SCANS or scans * width * height > MAX_SCANNED:
        raise ImageError(
            f"The JPEG has {scans:,} scans of {width} x {height} pixels; at most {MAX_SCANS} scans "
            f"and {MAX_SCANNED:,} pixels in all of them are decoded.",
            code="image_too_many_pixels",
        )


def _reduction(size: tuple[int, int], data: bytes, max_side: int) -> int:
    """Return how often a JPEG 2000 file can be halved and stay above `max_side`."""
    start = data.find(b"\xff\x51")  # the size; the coding style comes right behind it
    style = data.find(b"\xff\x52", start + 2 + int.from_bytes(data[start + 2 : start + 4], "big"))
    levels = data[style + 9] if start >= 0 and 0 <= style < len(data) - 9 else 0
    fitting = [
        reduction
        for reduction in range(1, levels + 1)
        if min(size) >> reduction >= max_side and all(_rounds_alike(n, reduction) for n in size)
    ]
    return max(fitting, default=0)


def _rounds_alike(length: int, reduction: int) -> bool:
    """Return whether Pillow and the JPEG 2000 decoder agree on a reduced length.

    Pillow rounds and the decoder rounds up. Where they differ, Pillow reports a damaged image.
    """
    half = 1 << reduction >> 1
    return (length + half) >> reduction == -(-length >> reduction)


def _strip_bytes(image: TiffImagePlugin.TiffImageFile) -> int:
    """Return the bytes of one strip or tile of a TIFF; it may hold the whole image."""
    tags, (width, height) = image.tag_v2, image.size
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,))) * tags.get(_SAMPLES_PER_PIXEL, 1)
    rows = tags.get(_TILE_LENGTH, tags.get(_ROWS_PER_STRIP, height))
    return int(width * min(rows, height) * bits // 8)


def _icon_size(data: bytes, offset: int) -> tuple[int, int]:
    """Return the size in the header of an icon's own PNG or bitmap."""
    if data.startswith(PNG, offset):
        width, height = struct.unpack_from(">II", data, offset + 16)
    else:
        width, height = struct.unpack_from("<ii", data, offset + 4)
    return abs(width), abs(height)
