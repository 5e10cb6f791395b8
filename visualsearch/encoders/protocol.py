"""The interface of encoders: images and texts as unit vectors of one space."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # clients that only shrink images need no NumPy
    from PIL import Image

    from visualsearch.types import FloatArray

Prepared = Any
"""Input of an encoder's `embed`: a decoded, upright image of about the model's input size."""


class Encoder(Protocol):
    """Turns images and texts into unit vectors whose inner product is their similarity."""

    @property
    def model_id(self) -> str:
        """Return the id that an index stores with its vectors; other weights have another id."""

    @property
    def dim(self) -> int:
        """Return the length of a vector."""

    @property
    def default_alpha(self) -> float:
        """Return the weight of a text in a query with an image of weight 1."""

    @property
    def device(self) -> str:
        """Return the device that the model runs on: `cpu`, `cuda`, ..."""

    def prepare(self, image: "Image.Image | bytes") -> Prepared:
        """Decode and resize an image. Safe on any thread.

        Raises ImageError for an image that it cannot decode.
        """

    def embed(self, prepared: Sequence[Prepared]) -> "FloatArray":
        """Run the model; return (n, dim) float32 unit rows. Call it on one thread at a time."""

    def encode_images(self, images: "Sequence[Image.Image | bytes]") -> "FloatArray":
        """Return (n, dim) float32 unit rows: `prepare` each, then `embed` all.

        Raises ImageError for an image that it cannot decode.
        """

    def encode_texts(self, texts: Sequence[str]) -> "FloatArray":
        """Return (n, dim) float32 unit rows."""
