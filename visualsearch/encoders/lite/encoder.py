"""The embedded encoder: needs torch and one small package, no download, no GPU."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from visualsearch.encoders import tower
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.lite import features as lite_features
from visualsearch.encoders.lite import model as lite_model
from visualsearch.errors import EncoderError
from visualsearch.types import FloatArray

DECODED_SIDE = 640  # pixels: more than twice the tower's input


def _one_thread() -> None:
    """Run torch on one thread: splitting an image's small layers over cores is slower.

    Measured on 2 cores, one image at a time: 19 images/s on one thread, 12 on two. Two images in
    parallel, one thread each: 29 images/s.
    """
    torch.set_num_threads(1)


class LiteEncoder:
    """EfficientNet-Lite2 features, a Lab histogram and distilled words in one space.

    The images of a call are split over the cores, one thread each.
    """

    device = "cpu"

    def __init__(self, weights: Path = lite_model.WEIGHTS) -> None:
        self._model, version = lite_model.read(weights)
        try:
            self._tower = tower.load_tower()
        except (ImportError, OSError) as error:
            raise EncoderError(
                "The lite encoder's image tower is missing: "
                f"pip install 'visualsearch[lite]' ({error})"
            ) from error
        self.model_id = f"lite:{version}"
        self.dim = self._model.dim
        self.default_alpha = self._model.alpha
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._pool = ThreadPoolExecutor(self._cores, "lite", initializer=_one_thread)
        self.encode_images([Image.new("RGB", (64, 64), (200, 60, 60))])  # warm-up

    def prepare(self, image: Image.Image | bytes) -> Image.Image:
        """Decode to RGB; safe on any thread. Raises ImageError for an image it cannot decode."""
        if isinstance(image, bytes):
            return decode_image(image, DECODED_SIDE)
        return image.convert("RGB")

    def embed(self, prepared: Sequence[Image.Image]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
        if not prepared:
            return np.zeros((0, self.dim), dtype=np.float32)
        share = -(-len(prepared) // self._cores)
        parts = [prepared[start : start + share] for start in range(0, len(prepared), share)]
        return np.concatenate(list(self._pool.map(self._rows, parts)))

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ImageError for an image it cannot decode."""
        return self.embed(list(self._pool.map(self.prepare, images)))

    def _rows(self, pictures: Sequence[Image.Image]) -> FloatArray:
        return self._model.images(lite_features.extract(self._tower, pictures))

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return self._model.texts(list(texts))
