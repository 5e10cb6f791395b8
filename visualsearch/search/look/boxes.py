"""Boxes as shares of an image's width and height: sliding windows, overlaps and crops."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, each 0 to 1 of the image's width or height."""
Boxes = npt.NDArray[np.float64]
"""Shape (n, 4), each row a box."""

EDGE = 0.06  # margin without windows, of each side: things rarely touch the edge
LEAST_PIXELS = 4  # of a crop's sides, at least


def windows(aspect: float, shapes: Iterable[tuple[float, float]]) -> Boxes:
    """Return sliding windows of several shapes over an image of width / height `aspect`.

    A shape is (height as a share of the image's, width / height in pixels). Strides are about half
    a window, so that each thing fills at least half of some window.
    """
    found: list[Box] = []
    for height, ratio in shapes:
        width = min(height * ratio / aspect, 1.0 - 2 * EDGE)
        for top in _steps(height):
            found.extend((left, top, left + width, top + height) for left in _steps(width))
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def _steps(size: float) -> list[float]:
    room = 1.0 - 2 * EDGE - size
    if room <= 0:
        return [(1.0 - size) / 2]
    count = int(np.ceil(room / max(size / 2.2, 0.09))) + 1
    return [EDGE + room * n / (count - 1) for n in range(count)]


def overlaps(boxes: Boxes, others: Boxes) -> Boxes:
    """Return the intersection over union (IoU) of all pairs, of shape (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    found: Boxes = shared / np.maximum(union, 1e-12)
    return found


def crop(image: Image.Image, box: Sequence[float]) -> Image.Image:
    """Return the part of an image in a box, at least `LEAST_PIXELS` a side where it has them."""
    sides = (image.width, image.height)
    low = [min(round(box[n] * sides[n]), sides[n] - 1) for n in (0, 1)]
    high = [min(max(round(box[n + 2] * sides[n]), low[n] + LEAST_PIXELS), sides[n]) for n in (0, 1)]
    return image.crop((low[0], low[1], high[0], high[1]))
