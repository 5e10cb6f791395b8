"""PNG and JPEG files without the metadata that a damaged copy of would refuse the whole image.

Browsers ignore what they cannot read of metadata; Pillow refuses the file. What is kept is what
changes the pixels that one sees: transparency, orientation, color profile and color transform.
"""

import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
END_OF_JPEG = b"\xff\xd9"
PROFILE_BYTES = 8 * 2**20  # of a color profile, decompressed: the limit that libpng has as well

_ANCILLARY = 0x20  # the bit of a chunk's first letter
_KEPT_CHUNKS = (b"tRNS", b"eXIf")
_START_OF_SCAN, _APP0, _COMMENT = 0xDA, 0xE0, 0xFE
# Shortest useful contents by marker: JFIF, Exif, color profile, Adobe's color transform.
_KEPT_SEGMENTS = {0xE0: (b"JFIF\0", 12), 0xE1: (b"Exif\0\0", 6), 0xE2: (b"ICC_PROFILE\0", 15),
                  0xEE: (b"Adobe", 12)}  # fmt: skip


def strip_png(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG without texts, animation and the like, and its color profile.

    An optional chunk with a wrong checksum is left out, as libpng does. A profile that cannot be
    decompressed, or to no more than `PROFILE_BYTES`, is None.
    """
    view = memoryview(data)
    kept, profile = [view[: len(PNG)]], None
    for name, chunk in _chunks(view):
        body, checksum = chunk[8:-4], int.from_bytes(chunk[-4:], "big")
        if not name[0] & _ANCILLARY:
            kept.append(chunk)
        elif zlib.crc32(chunk[4:-4]) != checksum:
            continue
        elif name in _KEPT_CHUNKS:
            kept.append(chunk)
        elif name == b"iCCP":
            profile = _png_profile(bytes(body))
    return b"".join(kept), profile


def strip_jpeg(data: bytes) -> bytes:
    """Return a JPEG without comments and the application segments that change no pixel."""
    view = memoryview(data)
    kept, end = [view[:2]], 2
    for marker, at, following in _segments(data):
        end = following
        if marker == _COMMENT or marker & 0xF0 == _APP0:
            prefix, shortest = _KEPT_SEGMENTS.get(marker, (b"", len(data)))
            body = view[at + 4 : following]
            if len(body) < shortest or body[: len(prefix)] != prefix:
                continue
        kept.append(view[at:following])
    return b"".join([*kept, view[end:]])


def scan_starts(data: bytes) -> tuple[int, int]:
    """Return where a JPEG's first and second scan start; -1 for one that is not there."""
    first = next((at for marker, at, _ in _segments(data) if marker == _START_OF_SCAN), -1)
    second = data.find(bytes((0xFF, _START_OF_SCAN)), first + 2) if first >= 0 else -1
    return first, second


def scan_components(data: bytes, start: int) -> int:
    """Return how many color components the scan at `start` holds; 0 where it is cut off."""
    return data[start + 4] if len(data) > start + 4 else 0


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and bytes of each chunk, the last perhaps cut off."""
    at = len(PNG)
    while at + 8 <= len(view):
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        yield bytes(view[at + 4 : at + 8]), view[at:end]
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
    """Yield marker, start and end of a JPEG's segments up to its first scan's header.

    Anything unusual ends it: what follows is the decoder's to judge.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] >= 0xC0:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xD0 <= marker <= 0xD9 or end > len(data):
            return
        yield marker, at, end
        if marker == _START_OF_SCAN:
            return
        at = end
