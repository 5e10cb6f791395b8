"""The loop that anyone would write: Pillow, a model's own preprocessing, its forward pass."""

import io
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visualsearch.encoders import tower
from visualsearch.encoders.open_clip import OpenClipEncoder
from visualsearch.encoders.protocol import Encoder


class Bare(Protocol):
    """A model without anything of ours around it."""

    def prepared(self, pictures: Sequence[bytes]) -> Tensor:
        """Decode and preprocess, one after the other."""

    def forward(self, batch: Tensor) -> int:
        """Run the image tower, on torch's own threads; return how many images it was."""


class BareClip:
    """open_clip's `preprocess` and `encode_image`."""

    def __init__(self, encoder: OpenClipEncoder) -> None:
        import open_clip

        self._model = encoder._loaded.model
        self._dtype, self._device = encoder._dtype, encoder.device
        size = open_clip.get_model_preprocess_cfg(self._model)
        config = open_clip.transform.PreprocessCfg(**size)
        self._preprocess: Callable[[Any], Tensor] = open_clip.transform.image_transform_v2(
            config, is_train=False
        )

    def prepared(self, pictures: Sequence[bytes]) -> Tensor:
        """Decode and preprocess, one after the other."""
        return torch.stack([self._preprocess(Image.open(io.BytesIO(data))) for data in pictures])

    def forward(self, batch: Tensor) -> int:
        """Run `encode_image`, and wait for its rows."""
        with torch.inference_mode():
            rows = self._model.encode_image(batch.to(self._device, self._dtype)).cpu()
        return len(rows)


class BareTower:
    """The lite encoder's EfficientNet, without the colors and the projection."""

    def __init__(self) -> None:
        self._net = tower.load_tower()

    def prepared(self, pictures: Sequence[bytes]) -> Tensor:
        """Decode and resize, one after the other."""
        side = (tower.SIDE, tower.SIDE)
        squares = [
            np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize(side), dtype=np.float32)
            for data in pictures
        ]
        batch = torch.from_numpy((np.stack(squares) - tower.MEAN) / tower.SCALE)
        return batch.permute(0, 3, 1, 2)

    def forward(self, batch: Tensor) -> int:
        """Run the tower."""
        with torch.inference_mode():
            return len(next(iter(self._net(batch).values())))


def bare_of(encoder: Encoder) -> Bare:
    """Return the bare loop to compare an encoder with."""
    return BareClip(encoder) if isinstance(encoder, OpenClipEncoder) else BareTower()
