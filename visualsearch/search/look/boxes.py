"""Boxes as shares of an image's width and height: windows to look through, and overlaps."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, each 0 to 1 of the image's width or height."""
Boxes = npt.NDArray[np.float64]
"""Shape (n, 4), each row a box."""

EDGE = 0.06  # of each side: what windows leave out, for things are rarely cut off
LEAST_PIXELS = 4  # of a crop's sides: less shows nothing


def windows(aspect: float, shapes: Iterable[tuple[float, float]]) -> Boxes:
    """Return windows of several sizes in even steps over an image of width / height `aspect`.

    A shape is a height (share of the image's) and a width / height in pixels. Steps are half a
    window at most, so that what lies between two of them fills either by half.
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
    """Return the intersection over union of each with each, of shape (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    found: Boxes = shared / np.maximum(union, 1e-12)
    return found


def crop(image: Image.Image, box: Sequence[float]) -> Image.Image:
    """Return the part of an image that a box shows, at least a few pixels of it."""
    sides = (image.width, image.height)
    low = [min(round(box[n] * sides[n]), sides[n] - 1) for n in (0, 1)]
    high = [min(max(round(box[n + 2] * sides[n]), low[n] + LEAST_PIXELS), sides[n]) for n in (0, 1)]
    return image.crop((low[0], low[1], high[0], high[1]))
