"""One image in many files: the encoder sees the same."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from visualsearch.datasets.drawn import draw_photo
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.lite.encoder import LiteEncoder

LEAST_COSINE = 0.97
FORMS = ("png", "jpeg", "rotated by EXIF", "cmyk", "webp", "on white through alpha", "palette",
         "16 bits", "wide", "avif")  # fmt: skip


@pytest.fixture(scope="module")
def lite() -> LiteEncoder:
    """Load the shipped encoder once."""
    return LiteEncoder()


def written(image: Image.Image, form: str) -> bytes:
    """Write an image as a file of that form."""
    out = io.BytesIO()
    if form == "rotated by EXIF":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise
        image.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", exif=exif, quality=92)
    elif form == "cmyk":
        image.convert("CMYK").save(out, "JPEG", quality=92)
    elif form == "on white through alpha":
        faint = ImageOps.invert(image.convert("L"))  # the lighter, the more of the ground
        image.putalpha(faint.point(lambda value: 255 if value > 4 else 0))
        image.save(out, "PNG")
    elif form == "palette":
        image.quantize(256).save(out, "PNG")
    elif form == "wide":  # larger than the model needs: decoded at a fraction, then shrunk
        image.resize((image.width * 4, image.height * 4)).save(out, "JPEG", quality=92)
    elif form == "16 bits":
        grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
        Image.fromarray(grey).save(out, "PNG")
    else:
        image.save(out, form.upper())
    return out.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_vectors_of_one_picture_agree(lite: LiteEncoder, form: str) -> None:
    """Whatever the file, the cosine to the plain PNG's vector is at least 0.97."""
    if form == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    photo = decode_image(draw_photo("dress", "red", "plain", 7, 480), 480)
    plain = photo.convert("L") if form == "16 bits" else photo
    reference, vector = lite.encode_images([written(plain, "png"), written(photo.copy(), form)])
    assert float(reference @ vector) >= LEAST_COSINE
