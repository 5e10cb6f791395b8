"""Fabrics: a square of cloth in one color with a pattern on it."""

import random

import numpy as np
from PIL import Image, ImageDraw

from visualsearch.datasets.drawn.palette import RGB, mix

PATTERNS = ("plain", "striped", "dotted", "checked", "floral")


def fabric(base: RGB, other: RGB, pattern: str, rng: random.Random, size: int) -> Image.Image:
    """Return an RGB square; the base color keeps at least six tenths of the area."""
    painters = {
        "plain": _plain,
        "striped": _striped,
        "dotted": _dotted,
        "checked": _checked,
        "floral": _floral,
    }
    return painters[pattern](base, other, rng, size)


def _plain(base: RGB, _other: RGB, _rng: random.Random, size: int) -> Image.Image:
    return Image.new("RGB", (size, size), base)


def _striped(base: RGB, other: RGB, rng: random.Random, size: int) -> Image.Image:
    period = size * rng.choice((0.05, 0.062, 0.08))
    width = period * rng.uniform(0.28, 0.4)
    rows = (np.arange(size) + rng.uniform(0, period)) % period < width
    cloth = np.where(rows[:, None, None], np.array(other, np.uint8), np.array(base, np.uint8))
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(cloth, (size, size, 3))))
    return image.transpose(Image.Transpose.ROTATE_90) if rng.random() < 0.2 else image


def _dotted(base: RGB, other: RGB, rng: random.Random, size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), base)
    draw = ImageDraw.Draw(image)
    step = size * rng.choice((0.055, 0.07, 0.09))
    radius = step * rng.uniform(0.2, 0.27)
    for row in range(int(size / step) + 2):
        for column in range(int(size / step) + 2):
            x = (column + (row % 2) / 2) * step
            y = row * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=other)
    return image


def _checked(base: RGB, other: RGB, rng: random.Random, size: int) -> Image.Image:
    period = size * rng.choice((0.08, 0.1, 0.13))
    band = (np.arange(size) % period < period * 0.36).astype(np.float32)
    weight = (band[:, None] + band[None, :]) / 2
    thin = np.abs(np.arange(size) % period - period * 0.68) < max(1.5, period * 0.03)
    weight = np.maximum(weight, 0.6 * np.maximum(thin[:, None], thin[None, :]))
    weight = 0.75 * weight[:, :, None]
    cloth = np.array(base) * (1 - weight) + np.array(other) * weight
    return Image.fromarray(cloth.astype(np.uint8))


def _floral(base: RGB, other: RGB, rng: random.Random, size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), base)
    draw = ImageDraw.Draw(image)
    step = size * 0.105
    petal = size * 0.0155
    leaf = mix(base, (60, 120, 60), 0.6)
    for row in range(int(size / step) + 1):
        for column in range(int(size / step) + 1):
            x = (column + 0.5 * (row % 2) + rng.uniform(-0.2, 0.2)) * step
            y = (row + rng.uniform(-0.2, 0.2)) * step
            draw.ellipse((x, y + petal, x + 2.6 * petal, y + 2.2 * petal), fill=leaf)
            for dx, dy in ((1, 0), (-1, 0), (0.3, 1), (-0.3, 1), (0, -1)):
                _dot(draw, x + dx * petal, y + dy * petal, petal * 0.85, other)
            _dot(draw, x, y, petal * 0.6, (240, 196, 60))
    return image


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: RGB) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
