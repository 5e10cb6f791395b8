"""What every encoder promises: pictures and words as unit vectors of one space."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from visualsearch.types import FloatArray


class Encoder(Protocol):
    """Turns pictures and words into unit vectors whose inner product is their likeness."""

    @property
    def model_id(self) -> str:
        """Return what an index of such vectors is marked with; other weights, another id."""

    @property
    def dim(self) -> int:
        """Return the length of a vector."""

    @property
    def default_alpha(self) -> float:
        """Return the weight of words beside a picture of weight 1 in a query of both."""

    @property
    def device(self) -> str:
        """Return where the model runs: `cpu`, `cuda`, ..."""

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ImageError for a picture it cannot decode."""

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
