"""Fixed image features of the lite encoder: tower activations and a Lab histogram."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from visualsearch.encoders import color, tower
from visualsearch.types import FloatArray

BATCH = 8  # on a CPU larger batches are no faster and cost cache
MAX_SQUEEZE = 1.5  # an image longer than this is padded rather than squeezed further


@dataclass(frozen=True, slots=True)
class Features:
    """Features of n images: float32 rows, all of unit length except the logits."""

    last: FloatArray  # (n, 1280): the tower's last layer, its mean over the image
    peaks: FloatArray  # (n, 1280): the same layer, its cubic mean: small objects count more
    narrow: FloatArray  # (n, 352): the layer before it
    shapes: FloatArray  # (n, 208): a middle layer
    parts: FloatArray  # (n, 208): a later one, its maxima
    texture: FloatArray  # (n, 120): an earlier one
    hues: FloatArray  # (n, 384): the Lab histogram
    logits: FloatArray  # (n, 1000): the ImageNet classes


def squared(image: Image.Image) -> Image.Image:
    """Fit an RGB image into a square of the tower's input side; long ones are padded white.

    A little squeezing loses less than padding (luma, back views: 0.86 and 0.84 in the top 3).
    """
    side = tower.SIDE
    ratio = image.width / image.height
    width = round(side * min(1.0, max(ratio * MAX_SQUEEZE, 1 / side)))
    height = round(side * min(1.0, max(MAX_SQUEEZE / ratio, 1 / side)))
    fitted = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    if (width, height) == (side, side):
        return fitted
    ground = Image.new("RGB", (side, side), (255, 255, 255))
    ground.paste(fitted, ((side - width) // 2, (side - height) // 2))
    return ground


def extract(net: tower.Tower, images: Sequence[Image.Image]) -> Features:
    """Run the tower and the color histogram over RGB images of any size."""
    squares = [squared(image) for image in images]
    seen: dict[str, list[FloatArray]] = defaultdict(list)
    with torch.inference_mode():
        for start in range(0, len(squares), BATCH):
            chunk = squares[start : start + BATCH]
            pixels = np.stack([np.asarray(square, dtype=np.float32) for square in chunk])
            batch = torch.from_numpy((pixels - tower.MEAN) / tower.SCALE)
            out = net(batch.permute(0, 3, 1, 2))  # from (n, h, w, c): already channels_last
            for name, rows in out.items():
                seen[name].append(rows.numpy())
    whole = {name: np.concatenate(rows) for name, rows in seen.items()}
    return Features(
        hues=np.stack([color.histogram(square) for square in squares]),
        logits=whole.pop("logits"),
        **{name: unit(rows) for name, rows in whole.items()},
    )


def unit(rows: FloatArray) -> FloatArray:
    """Scale rows to unit length."""
    lengths: FloatArray = np.linalg.norm(rows, axis=-1, keepdims=True).astype(np.float32)
    return np.divide(rows, np.maximum(lengths, 1e-12), dtype=np.float32)
