"""Removes metadata from PNG and JPEG files: Pillow would refuse an image for damaged metadata.

Browsers ignore such metadata. Kept is what changes the visible pixels: transparency, orientation,
color profile and color transform.
"""

import re
import zlib
from collections.abc import Iterator, Sequence

from visualsearch.errors import ImageError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
END_OF_JPEG = b"\xff\xd9"
PROFILE_BYTES = 4 * 2**20  # of a decompressed color profile; the largest, of printers, have 3 MiB
# Chunks or segments: each takes a step here and one in Pillow. libpng writes chunks of 8 KiB.
MAX_PARTS = 10_000

_ANCILLARY = 0x20  # the bit of a chunk's first letter
_KEPT_CHUNKS = (b"tRNS", b"eXIf")
_START_OF_SCAN, _APP0, _EXIF, _COMMENT, _END_OF_IMAGE = 0xDA, 0xE0, 0xE1, 0xFE, 0xD9
_WITHOUT_LENGTH = 0xC0  # no marker below it, and not the start of an image, has contents
_START_OF_IMAGE = 0xD8
# Neither padding, nor an escaped byte, nor a restart within a scan.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Shortest useful contents by marker: JFIF, Exif, color profile, Adobe's color transform.
_KEPT_SEGMENTS = {_APP0: (b"JFIF\0", 12), _EXIF: (b"Exif\0\0", 6), 0xE2: (b"ICC_PROFILE\0", 15),
                  0xEE: (b"Adobe", 12)}  # fmt: skip


def strip_png(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG without metadata chunks (texts, animation, ...), and its color profile.

    Ancillary chunks with a wrong checksum are dropped, as in libpng. The first profile counts; it
    is None if it is damaged or larger than `PROFILE_BYTES`.

    Raises:
        ImageError: code `image_not_an_image` for more than `MAX_PARTS` chunks.

    """
    view = memoryview(data)
    kept, packed = [(0, len(PNG))], None
    for name, at, end in _chunks(data):
        if name[0] & _ANCILLARY and not _is_intact(view[at:end]):
            continue
        if not name[0] & _ANCILLARY or name in _KEPT_CHUNKS:
            kept.append((at, end))
        elif name == b"iCCP" and packed is None:
            packed = bytes(view[at + 8 : end - 4])
    return _joined(data, kept), None if packed is None else _png_profile(packed)


def strip_jpeg(data: bytes) -> bytes:
    """Return a JPEG without comments and without application segments that change no pixel.

    Bytes between segments are dropped too: decoders skip them byte by byte. Of several Exif
    segments only the first is kept, which has the orientation: Pillow would join them one by one.

    Raises:
        ImageError: code `image_not_an_image` for more than `MAX_PARTS` segments.

    """
    kept = [(0, 2)]
    oriented = False
    for marker, at, end in _segments(data):
        if marker == _START_OF_SCAN:
            kept.append((at, len(data)))
            break
        if _changes_pixels(data, marker, at, end) and not (oriented and marker == _EXIF):
            kept.append((at, end))
            oriented |= marker == _EXIF
    return _joined(data, kept)


def scan_starts(data: bytes) -> list[int]:
    """Return the byte offsets at which the scans of a JPEG start.

    Raises:
        ImageError: code `image_not_an_image` for more than `MAX_PARTS` segments.

    """
    return [at for marker, at, _ in _segments(data) if marker == _START_OF_SCAN]


def scan_components(data: bytes, start: int) -> int:
    """Return how many color components the scan at `start` holds; 0 if it is cut off."""
    return data[start + 4] if len(data) > start + 4 else 0


def _joined(data: bytes, parts: Sequence[tuple[int, int]]) -> bytes:
    view = memoryview(data)
    return b"".join([view[at:end] for at, end in parts])


def _is_intact(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _changes_pixels(data: bytes, marker: int, at: int, end: int) -> bool:
    if marker != _COMMENT and marker & 0xF0 != _APP0:
        return True
    prefix, shortest = _KEPT_SEGMENTS.get(marker, (b"", len(data)))
    return end - at - 4 >= shortest and data.startswith(prefix, at + 4)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each PNG chunk; the last may be cut off."""
    at = len(PNG)
    count = 0
    while at + 8 <= len(data):
        count += 1
        _check_count(count, "chunks")
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, end
        at = end


def _png_profile(body: bytes) -> bytes | None:
    packed = body.partition(b"\0")[2][1:]  # name, zero, compression method
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, PROFILE_BYTES)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else profile


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of a JPEG's segments, as libjpeg finds them.

    A scan's segment is its header only. The last segment may be cut off.
    """
    at = 2
    count = 0
    while (found := _MARKER.search(data, at)) is not None:
        count += 1
        _check_count(count, "segments")
        at = found.start()
        marker, end = data[at + 1], at + 2
        if marker == _END_OF_IMAGE:
            return
        if marker >= _WITHOUT_LENGTH and marker != _START_OF_IMAGE:
            end += int.from_bytes(data[end : end + 2], "big")
        yield marker, at, end
        at = end


def _check_count(count: int, what: str) -> None:
    if count > MAX_PARTS:
        text = f"The image's file has more than {MAX_PARTS:,} {what}."
        raise ImageError(text, code="image_not_an_image")
