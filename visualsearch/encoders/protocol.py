"""What every encoder promises: pictures and words as unit vectors of one space."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a client that shrinks an image needs no NumPy
    from PIL import Image

    from visualsearch.types import FloatArray

Prepared = Any
"""A picture as one encoder's `embed` takes it: decoded, the right way up, of about its size."""


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

    def prepare(self, image: "Image.Image | bytes") -> Prepared:
        """Decode a picture and bring it into shape, on any thread.

        Raises ImageError for one that it cannot decode.
        """

    def embed(self, prepared: Sequence[Prepared]) -> "FloatArray":
        """Return (n, dim) float32 unit rows: the model's part of the work, one call at a time."""

    def encode_images(self, images: "Sequence[Image.Image | bytes]") -> "FloatArray":
        """Return (n, dim) float32 unit rows: `prepare` each, then `embed` all.

        Raises ImageError for a picture that it cannot decode.
        """

    def encode_texts(self, texts: Sequence[str]) -> "FloatArray":
        """Return (n, dim) float32 unit rows."""
