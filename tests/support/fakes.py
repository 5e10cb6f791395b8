"""Stand-ins for what a test does not test; each keeps the real one's promises."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from visualsearch.types import FloatArray

DIM = 16


def unit(seed: str, dim: int = DIM) -> FloatArray:
    """Return a unit vector that depends on `seed` alone."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little")
    vector = np.random.default_rng(number).standard_normal(dim).astype(np.float32)
    unit_length: FloatArray = vector / np.linalg.norm(vector)
    return unit_length


class FakeEncoder:
    """The same bytes or words give the same unit vector; counts the images that it saw."""

    model_id = "fake"
    dim = DIM
    default_alpha = 0.43
    device = "cpu"

    def __init__(self) -> None:
        self.images_seen = 0

    def prepare(self, image: Image.Image | bytes) -> Image.Image:
        """Decode. Raises ImageError for what is no image."""
        from visualsearch.encoders.images import decode_image

        return decode_image(image) if isinstance(image, bytes) else image

    def embed(self, prepared: Sequence[Image.Image]) -> FloatArray:
        """Hash the pixels of each image."""
        self.images_seen += len(prepared)
        digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in prepared]
        return np.stack([unit(digest) for digest in digests])

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Prepare and embed."""
        return self.embed([self.prepare(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Hash each text."""
        return np.stack([unit(text) for text in texts])


def jpeg(color: tuple[int, int, int], side: int = 32) -> bytes:
    """Return a one-colored JPEG."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), color).save(out, "JPEG")
    return out.getvalue()
