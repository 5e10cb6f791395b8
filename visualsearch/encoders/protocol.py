"""What every encoder promises: pictures and words as unit vectors of one space."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from visualsearch.types import FloatArray


class Encoder(Protocol):
    """Turns pictures and words into unit vectors whose inner product is their likeness."""

    model_id: str
    dim: int
    default_alpha: float
    device: str

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ImageError for a picture it cannot decode."""

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
