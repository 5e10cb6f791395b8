"""What is only metadata never refuses an image, and what came of a JPEG is used."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.visualsearch.encoders.test_images import encoded, halves, near, wide_gamut
from visualsearch.encoders import image_metadata
from visualsearch.encoders.image_files import MAX_SCANS
from visualsearch.encoders.image_metadata import (
    MAX_PARTS,
    PNG,
    PROFILE_BYTES,
    scan_starts,
    strip_jpeg,
)
from visualsearch.encoders.images import decode_image, decode_memory
from visualsearch.errors import ImageError

BIG = 2 * 2**20  # bytes: twice what Pillow reads of a compressed chunk


def chunk(name: bytes, body: bytes, *, damaged: bool = False) -> bytes:
    """Return a PNG chunk."""
    checksum = zlib.crc32(name + body) ^ damaged
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def with_chunk(*chunks: bytes, image: Image.Image | None = None) -> bytes:
    """Return a PNG with chunks behind its header."""
    data = encoded(image or halves(), "PNG")
    header_end = len(PNG) + 25
    return data[:header_end] + b"".join(chunks) + data[header_end:]


def profile_chunk(profile: bytes) -> bytes:
    """Return a chunk with a color profile."""
    return chunk(b"iCCP", b"wide\0\0" + zlib.compress(profile))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(BIG))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b" " * BIG)),
        chunk(b"zTXt", b"Comment\0\7what is this"),
        chunk(b"iCCP", b"odd\0\7" + zlib.compress(b"x")),
        chunk(b"iCCP", b"no zlib\0\0x"),
        chunk(b"iCCP", b"name without its end"),
        profile_chunk(bytes(BIG)),
        profile_chunk(bytes(2 * PROFILE_BYTES)),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"short"),
        chunk(b"pHYs", b""),
        chunk(b"acTL", b""),
        chunk(b"fcTL", b"short"),
        chunk(b"eXIf", b"MM\0*nothing of use"),
        chunk(b"eXIf", b"MM\0*", damaged=True),
        chunk(b"tEXt", b"Title\0" + b"x" * 100, damaged=True),
    ],
    ids=lambda extra: f"{extra[4:8].decode()}-{len(extra)}",
)
def test_no_png_is_refused_for_a_chunk_that_browsers_ignore(extra: bytes) -> None:
    """Too large, too short, of an unknown compression or with a wrong checksum."""
    image = decode_image(with_chunk(extra))
    assert near(image, (10, 20), (255, 0, 0))
    assert near(image, (70, 20), (0, 0, 255))


def test_many_texts_refuse_no_png() -> None:
    """Pillow stops at 64 MiB of them."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1)))
    assert near(decode_image(with_chunk(*[text] * 70)), (10, 20), (255, 0, 0))


def test_a_large_color_profile_is_applied() -> None:
    """Those of printers have megabytes."""
    numbers = Image.new("RGB", (16, 16), (180, 120, 60))
    noise = np.random.default_rng(0).bytes(BIG)
    profiles = (wide_gamut(), wide_gamut() + noise)
    small, large = (
        decode_image(with_chunk(profile_chunk(profile), image=numbers)).getpixel((8, 8))
        for profile in profiles
    )
    assert small == large != (180, 120, 60)


def test_of_several_color_profiles_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 8 kB unpacks to megabytes, and a file may hold hundreds."""
    unpacked: list[bytes] = []
    unpack = image_metadata._png_profile

    def counted(body: bytes) -> bytes | None:
        unpacked.append(body)
        return unpack(body)

    monkeypatch.setattr(image_metadata, "_png_profile", counted)
    numbers = Image.new("RGB", (16, 16), (180, 120, 60))
    chunks = [profile_chunk(wide_gamut()), *[profile_chunk(bytes(BIG))] * 100]
    one, many = (decode_image(with_chunk(*some, image=numbers)) for some in (chunks[:1], chunks))
    assert one.getpixel((8, 8)) == many.getpixel((8, 8)) != (180, 120, 60)
    assert len(unpacked) == 2


def test_color_profiles_are_not_kept() -> None:
    """Only what was made of them is: 64 of some megabytes each would fill a worker."""
    numbers = Image.new("RGB", (16, 16), (180, 120, 60))
    files = [with_chunk(profile_chunk(wide_gamut() + bytes([n]) * BIG), image=numbers)
             for n in range(4)]  # fmt: skip
    decode_image(files[0])
    tracemalloc.start()
    try:
        for data in files:
            decode_image(data)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < BIG


def test_a_color_profile_without_limits_is_not_applied() -> None:
    """Its image is used as it is."""
    numbers = Image.new("RGB", (16, 16), (180, 120, 60))
    profile = wide_gamut() + np.random.default_rng(0).bytes(PROFILE_BYTES)
    for data in (with_chunk(profile_chunk(profile), image=numbers),
                 encoded(numbers, "JPEG", icc_profile=profile, quality=100)):  # fmt: skip
        assert near(decode_image(data), (8, 8), (180, 120, 60))


def empty_segments(count: int) -> bytes:
    """Return a JPEG with so many segments without contents behind its first two bytes."""
    data = encoded(halves(), "JPEG")
    return data[:2] + b"\xff\xdb\x00\x02" * count + data[2:]


@pytest.mark.parametrize("make", [lambda count: with_chunk(*[chunk(b"tEXt", b"")] * count),
                                  empty_segments])  # fmt: skip
def test_a_file_of_many_parts_is_refused(make: Callable[[int], bytes]) -> None:
    """Each takes a step, here and in Pillow: 10 MB of them took 20 seconds and 700 MB."""
    assert decode_image(make(MAX_PARTS - 100)).size == (80, 40)
    with pytest.raises(ImageError, match="more than 10,000") as caught:
        decode_image(make(MAX_PARTS))
    assert caught.value.code == "image_not_an_image"
    assert decode_memory(make(MAX_PARTS)) == 0


@pytest.mark.parametrize("junk", [b"\xff", b"\0", b"\xff\0", b"\xff\xd0"], ids=bytes.hex)
def test_what_is_between_segments_is_left_out(junk: bytes) -> None:
    """Decoders skip it, Pillow one byte at a time."""
    data = encoded(halves(), "JPEG")
    second = 4 + int.from_bytes(data[4:6], "big")
    assert strip_jpeg(data[:second] + junk * 100_000 + data[second:]) == data
    assert scan_starts(data) == [data.index(b"\xff\xda")]


def test_the_first_orientation_counts() -> None:
    """Pillow would join all Exif segments, a copy for each."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(halves(), "JPEG", exif=exif)
    start = data.index(b"Exif") - 4
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    many = data[:end] + (b"\xff\xe1\0\x0aExif\0\0xx") * 1000 + data[end:]
    assert strip_jpeg(many) == data
    assert decode_image(many).size == (40, 80)


def with_scans(count: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a progressive JPEG with so many scans, those that are added without a change."""
    data = encoded(Image.new("L", size, 100), "JPEG", progressive=True)
    starts = scan_starts(data)
    return data[:-2] + data[starts[-1] : -2] * (count - len(starts)) + data[-2:]


def test_scans_are_counted_where_decoders_find_them() -> None:
    """Not in metadata, nor behind the end; also behind a segment that contains an end."""
    data = with_scans(6)
    first = data.index(b"\xff\xda")
    hidden = data[:first] + b"\xff\xfe\0\x06\xff\xd9\xff\xda" + data[first:] + b"\xff\xda" * 200
    assert len(scan_starts(data)) == len(scan_starts(hidden)) == 6
    assert decode_image(hidden).size == (64, 64)


def test_a_jpeg_of_many_scans_is_refused() -> None:
    """Each goes over all pixels: 69 kB took seconds, 16 MB hours."""
    assert decode_image(with_scans(MAX_SCANS)).size == (64, 64)
    with pytest.raises(ImageError, match="101 scans") as caught:
        decode_image(with_scans(MAX_SCANS + 1))
    assert caught.value.code == "image_too_many_pixels"
    side = 9_000
    assert decode_memory(with_scans(10, (side, side))) > side * side
    assert decode_memory(with_scans(60, (side, side))) == 0


def test_transparency_and_orientation_are_no_metadata() -> None:
    """Both change what one sees."""
    exif = Image.Exif()
    exif[0x0112] = 3
    clear = Image.new("P", (10, 10), 0)
    clear.putpalette([0, 0, 0, 255, 0, 0])
    clear.paste(1, (5, 0, 10, 10))
    decoded = decode_image(encoded(clear, "PNG", transparency=0, exif=exif))
    assert near(decoded, (1, 5), (255, 0, 0))
    assert near(decoded, (8, 5), (255, 255, 255))


PREFIXES = (b"", b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe", b"MPF\0",
            b"Photoshop 3.0\0008BIM", b"http://ns.adobe.com/xap/1.0/\0")  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([0xFE, *range(0xE0, 0xF0)]),
    st.sampled_from(PREFIXES),
    st.binary(max_size=30),
    st.integers(0, 40),
)
def test_no_jpeg_is_refused_for_a_segment(
    marker: int, prefix: bytes, rest: bytes, length: int
) -> None:
    """Cut off, empty or of nonsense, under each of the names that decoders know."""
    body = (prefix + rest)[:length]
    data = encoded(halves(), "JPEG")
    segment = bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
    assert decode_image(data[:2] + segment + data[2:]).size == (80, 40)


def scene(mode: str = "RGB", size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Return an image with something in every row, black at the top."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).resize(size)
    image.paste((0, 0, 0), (0, 0, size[0], 20))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_whole(mode: str, *, progressive: bool) -> None:
    """Cameras and uploads that lost the last two bytes: browsers show all of it."""
    data = encoded(scene(mode), "JPEG", progressive=progressive)
    difference = np.subtract(decode_image(data[:-2]), decode_image(data), dtype=np.int16)
    assert np.abs(difference).max() <= 2


def test_a_dark_jpeg_without_its_end_is_whole() -> None:
    """Black rows are not taken for missing ones."""
    image = Image.new("RGB", (640, 480))
    image.paste((200, 10, 10), (0, 0, 640, 60))
    assert decode_image(encoded(image, "JPEG")[:-2]).size == (640, 480)


@pytest.mark.parametrize("max_side", [1024, 160])
def test_a_jpeg_is_used_from_half_of_its_rows(max_side: int) -> None:
    """What came is where it was; with less, the product may be missing."""
    whole = encoded(scene(), "JPEG", quality=90)
    used = decode_image(whole[: int(len(whole) * 0.8)], max_side)
    top = np.s_[: used.height // 2]
    expected = np.asarray(decode_image(whole, max_side))[top]
    assert np.abs(np.subtract(np.asarray(used)[top], expected, dtype=np.int16)).mean() < 3
    with pytest.raises(ImageError) as caught:
        decode_image(whole[: int(len(whole) * 0.4)], max_side)
    assert caught.value.code == "image_truncated"


def test_a_progressive_jpeg_is_used_from_its_first_scan() -> None:
    """It shows all of the image, coarsely; half of that scan is half of an image."""
    whole = encoded(scene(), "JPEG", quality=90, progressive=True)
    first, second = (whole.find(b"\xff\xda", start) for start in (0, whole.find(b"\xff\xda") + 2))
    assert decode_image(whole[: second + 40]).size == (640, 480)
    with pytest.raises(ImageError) as caught:
        decode_image(whole[: (first + second) // 2])
    assert caught.value.code == "image_truncated"


def test_no_switch_of_pillow_is_thrown() -> None:
    """Other threads of the process rely on it."""
    from PIL import ImageFile, PngImagePlugin

    before = (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
    decode_image(encoded(scene(), "JPEG")[:-2])
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
    with pytest.raises(OSError):
        Image.open(io.BytesIO(encoded(scene(), "JPEG")[:-200])).load()
