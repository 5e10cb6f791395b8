"""Decoding images of any make, and refusing what is none."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from visualsearch.encoders import image_files
from visualsearch.encoders.images import decode_image
from visualsearch.errors import ImageError


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """Encode an image in memory."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """Build an image of 80 x 40: left half red, right half blue."""
    image = Image.new("RGB", (80, 40), (255, 0, 0))
    image.paste((0, 0, 255), (40, 0, 80, 40))
    return image.convert(mode)


def near(image: Image.Image, at: tuple[int, int], color: tuple[int, int, int]) -> bool:
    """Tell whether a pixel has about the given color."""
    return bool(np.abs(np.subtract(image.getpixel(at), color)).max() < 40)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_formats_are_sniffed(form: str) -> None:
    """Any common format becomes RGB with its colors where they were."""
    image = decode_image(encoded(halves(), form))
    assert image.mode == "RGB"
    assert near(image, (10, 20), (255, 0, 0))
    assert near(image, (70, 20), (0, 0, 255))


@pytest.mark.parametrize(
    ("orientation", "red_at"),
    [(1, (10, 20)), (2, (70, 20)), (3, (70, 20)), (4, (10, 20)),
     (5, (20, 10)), (6, (20, 10)), (7, (20, 70)), (8, (20, 70))],
)  # fmt: skip
def test_exif_orientation_is_applied(orientation: int, red_at: tuple[int, int]) -> None:
    """Each of the eight orientations puts the red half where the camera saw it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(encoded(halves(), "JPEG", exif=exif, quality=95))
    assert image.size == ((80, 40) if orientation < 5 else (40, 80))
    assert near(image, red_at, (255, 0, 0))


def test_cmyk_jpeg_keeps_its_colors() -> None:
    """A print shop's CMYK JPEG becomes RGB, not its negative."""
    assert near(decode_image(encoded(halves("CMYK"), "JPEG")), (10, 20), (255, 0, 0))


def test_transparency_lies_on_white() -> None:
    """Clear pixels are white, half-clear ones lighter, whatever color they hide."""
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((255, 0, 0, 128), (10, 0, 20, 10))
    decoded = decode_image(encoded(image, "PNG"))
    assert near(decoded, (2, 5), (255, 255, 255))
    assert near(decoded, (15, 5), (255, 127, 127))


def test_palette_with_transparency_lies_on_white() -> None:
    """A palette image's transparent index is white too."""
    image = Image.new("P", (10, 10), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (5, 0, 10, 10))
    decoded = decode_image(encoded(image, "PNG", transparency=0))
    assert near(decoded, (1, 5), (255, 255, 255))
    assert near(decoded, (8, 5), (255, 0, 0))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A 16-bit ramp stays a ramp: its middle is grey."""
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None, :].repeat(8, axis=0)
    decoded = decode_image(encoded(Image.fromarray(ramp), "PNG"))
    assert near(decoded, (0, 4), (0, 0, 0))
    assert near(decoded, (32, 4), (129, 129, 129))
    assert near(decoded, (63, 4), (255, 255, 255))


def test_a_color_profile_is_applied() -> None:
    """The same numbers in a wider space are stronger colors; without a profile they are sRGB."""
    numbers = Image.new("RGB", (16, 16), (180, 120, 60))
    plain = np.array(decode_image(encoded(numbers, "PNG")).getpixel((8, 8)))
    wide = np.array(
        decode_image(encoded(numbers, "PNG", icc_profile=wide_gamut())).getpixel((8, 8))
    )
    assert tuple(plain) == (180, 120, 60)
    assert int(wide[0]) - int(wide[2]) > int(plain[0]) - int(plain[2]) + 20


@pytest.mark.parametrize("profile", [b"no profile", ImageCms.ImageCmsProfile(
    ImageCms.createProfile("LAB")).tobytes()])  # fmt: skip
def test_a_profile_that_does_not_fit_is_left_out(profile: bytes) -> None:
    """Broken, or of another kind of image: the numbers are taken as they are."""
    image = decode_image(encoded(halves(), "PNG", icc_profile=profile))
    assert image.getpixel((10, 20)) == (255, 0, 0)


def wide_gamut() -> bytes:
    """Return a profile like sRGB's whose primaries are those of the eye (X, Y, Z)."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    for n in range(count):
        entry = 132 + 12 * n
        name, offset = bytes(data[entry : entry + 4]), int.from_bytes(data[entry + 4 : entry + 8])
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):  # Adobe RGB's, adapted to D50
            primaries = {b"r": (0.6097, 0.3111, 0.0195), b"g": (0.2053, 0.6257, 0.0609),
                         b"b": (0.1492, 0.0632, 0.7446)}  # fmt: skip
            fixed = b"".join(round(v * 65536).to_bytes(4, "big") for v in primaries[name[:1]])
            data[offset + 8 : offset + 20] = fixed
    return bytes(data).replace(
        "sRGB built-in".encode("utf-16-be"), "wide built-in".encode("utf-16-be")
    )


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read() -> None:
    """What image hosts send today, where Pillow reads it."""
    decoded = decode_image(encoded(halves(), "AVIF", quality=90))
    assert near(decoded, (10, 20), (255, 0, 0))
    assert near(decoded, (70, 20), (0, 0, 255))


def test_formats_that_start_programs_are_none() -> None:
    """PostScript would be given to an interpreter."""
    with pytest.raises(ImageError) as caught:
        decode_image(encoded(halves(), "EPS"))
    assert caught.value.code == "image_not_an_image"


def test_first_frame_of_an_animation() -> None:
    """Of an animated GIF the first frame counts."""
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(decode_image(data), (8, 8), (255, 0, 0))


@pytest.mark.parametrize("size", [(2030, 1842), (2669, 1555), (1001, 997), (3001, 203)])
@pytest.mark.parametrize("levels", [1, 3, 6])
def test_jpeg_2000_of_any_size_is_reduced_while_it_is_decoded(
    size: tuple[int, int], levels: int
) -> None:
    """Pillow and the decoder do not always agree on the half of an odd number."""
    image = halves().resize(size)
    decoded = decode_image(encoded(image, "JPEG2000", num_resolutions=levels), max_side=160)
    assert max(decoded.size) == 160
    middle = decoded.height // 2
    assert near(decoded, (20, middle), (255, 0, 0))
    assert near(decoded, (140, middle), (0, 0, 255))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_tiles_leave_no_seam_and_no_other_size(mode: str) -> None:
    """What is converted tile by tile looks as what is converted at once."""
    across = np.tile(np.linspace(0, 255, 3001, dtype=np.uint8), (2003, 1))
    gray = Image.fromarray(across)
    if mode == "I;16":
        image = Image.fromarray(across.astype(np.uint16) * 257)
    else:
        image = gray.convert("RGB").quantize() if mode == "P" else gray.convert(mode)
    decoded = decode_image(encoded(image, "PNG"), max_side=224)
    assert decoded.size == (224, 150)
    expected = np.asarray(gray.resize((224, 150)).convert("RGB"), dtype=np.int16)
    tolerance = 8 if mode in ("P", "1") else 2
    assert np.abs(np.asarray(decoded) - expected).mean() < tolerance


def test_large_pictures_shrink_to_the_asked_side() -> None:
    """The longer side is at most max_side, the shape is kept, tiny images are not enlarged."""
    data = encoded(Image.new("RGB", (3000, 1500)), "JPEG")
    assert decode_image(data, max_side=512).size == (512, 256)
    assert decode_image(encoded(Image.new("RGB", (3000, 2)), "PNG"), max_side=100).size == (100, 1)
    assert decode_image(encoded(halves(), "PNG"), max_side=512).size == (80, 40)


@pytest.mark.parametrize("data", [b"", b"hello", b"<html></html>", b"\x00" * 500, b"%PDF-1.7\n"])
def test_other_content_is_no_picture(data: bytes) -> None:
    """Text, pages and zeros are refused whatever their name said."""
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert caught.value.code == "image_not_an_image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_truncated_pictures_are_refused(form: str) -> None:
    """Half a file is an error, not half an image."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), form)
    with pytest.raises(ImageError) as caught:
        decode_image(data[: len(data) // 2])
    assert caught.value.code == "image_truncated"


def test_pixel_bombs_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that claims too many pixels is refused by its header."""
    monkeypatch.setattr(image_files, "MAX_PIXELS", 10_000)
    with pytest.raises(ImageError) as caught:
        decode_image(encoded(Image.new("1", (400, 400)), "PNG"))
    assert caught.value.code == "image_too_many_pixels"


def test_a_bomb_of_pillows_own_limit_is_too_large() -> None:
    """Where Pillow refuses by itself the code is the same."""
    with pytest.raises(ImageError) as caught:
        decode_image(encoded(Image.new("1", (20_000, 20_000)), "PNG"))
    assert caught.value.code == "image_too_many_pixels"


CODES = {
    "RGB",
    "image_not_an_image",
    "image_truncated",
    "image_too_large",
    "image_too_many_pixels",
}


def outcome(data: bytes) -> str:
    """Return the mode of the decoded image, or the code of its refusal."""
    try:
        return decode_image(data).mode
    except ImageError as error:
        return error.code


def test_flipped_bytes_never_escape_as_other_errors() -> None:
    """Any damage gives an image or an ImageError with one of three codes."""
    rng = np.random.default_rng(1)
    whole = {form: encoded(halves(), form) for form in ("JPEG", "PNG", "GIF", "TIFF", "WEBP")}
    for form, data in whole.items():
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 4):
                broken[place] = int(rng.integers(256))
            assert outcome(bytes(broken)) in CODES, form
