"""An encoder that sees nothing but color, so that what is right is known."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from visualsearch.encoders.images import decode_image
from visualsearch.types import FloatArray

COLORS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 40, 200),
          "yellow": (230, 210, 40)}  # fmt: skip


class ColorEncoder:
    """An image is the mean of its pixels, a text the mean of the colors that it names."""

    model_id = "color"
    dim = 3
    default_alpha = 0.43
    device = "cpu"

    def prepare(self, image: Image.Image | bytes) -> Image.Image:
        """Decode. Raises ImageError for what is no image."""
        return decode_image(image) if isinstance(image, bytes) else image

    def embed(self, prepared: Sequence[Image.Image]) -> FloatArray:
        """Return (n, 3) unit rows."""
        means = [np.asarray(picture.convert("RGB")).reshape(-1, 3).mean(axis=0)
                 for picture in prepared]  # fmt: skip
        return _unit(np.array(means).reshape(-1, 3))

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Prepare and embed."""
        return self.embed([self.prepare(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, 3) unit rows; grey for words that name no color."""
        rows = [
            np.mean([COLORS[word] for word in text.lower().split() if word in COLORS]
                    or [(1, 1, 1)], axis=0)
            for text in texts
        ]  # fmt: skip
        return _unit(np.array(rows).reshape(-1, 3))


def _unit(rows: np.ndarray) -> FloatArray:  # type: ignore[type-arg]
    centred = rows - 110.0  # colors differ by more than their brightness
    unit: FloatArray = (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)
    return unit
