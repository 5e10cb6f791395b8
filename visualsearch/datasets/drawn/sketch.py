"""A transparent sheet on which things are drawn part by part, in units of 0 to 100."""

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from visualsearch.datasets.drawn.palette import COLORS, RGB, ink, jitter, scale, second
from visualsearch.datasets.drawn.patterns import fabric

Point = tuple[float, float] | tuple[float, float, int]
"""(x, y) on a smooth outline, or (x, y, 0) for a corner."""

SIZE = 640  # twice what a catalog image measures: halving it smooths the edges


def outline(points: Sequence[Point], *, closed: bool = True) -> list[tuple[float, float]]:
    """Run a Catmull-Rom curve through points; a third coordinate makes one a corner."""
    at = np.array([point[:2] for point in points], dtype=np.float64)
    corner = [len(point) == 3 for point in points]
    count = len(points)
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    pieces = []
    for i in range(count if closed else count - 1):
        j = (i + 1) % count
        p1, p2 = at[i], at[j]
        first = corner[i] or (not closed and i == 0)
        last = corner[j] or (not closed and j == count - 1)
        if first and last:
            pieces.append(p1[None])
            continue
        p0 = 2 * p1 - p2 if first else at[i - 1]
        p3 = 2 * p2 - p1 if last else at[(j + 1) % count]
        bend = (2 * p0 - 5 * p1 + 4 * p2 - p3) * t + (3 * p1 - p0 - 3 * p2 + p3) * t**2
        pieces.append(p1 + 0.5 * t * ((p2 - p0) + bend))
    if not closed:
        pieces.append(at[-1:])
    return [(float(x), float(y)) for x, y in np.concatenate(pieces)]


def symmetric(half: Sequence[Point]) -> list[Point]:
    """Complete the right half of an outline (top to bottom) by its mirror image about x = 50."""
    return [*half, *(_mirrored(point) for point in reversed(half))]


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Reflect points about x = 50."""
    return [_mirrored(point) for point in points]


def _mirrored(point: Point) -> Point:
    return (100 - point[0], *point[1:])


def _ramp() -> Image.Image:
    """Build the light that falls on a part: full from the left, fading to the right edge."""
    x = np.linspace(0, 1, 256)
    light = 1 - 0.30 * np.clip((x - 0.3) / 0.7, 0, 1) ** 1.6 - 0.12 * np.clip(0.16 - x, 0, 1) / 0.16
    return Image.fromarray((light * 255).astype(np.uint8)[None, :])


_LIGHT = _ramp()


class Sketch:
    """A drawing in progress: `image` is RGBA, `base` the product's color, `ink` its lines'."""

    def __init__(self, color: str, pattern: str, rng: random.Random) -> None:
        self.rng = rng
        self.base = jitter(COLORS[color], rng)
        self.ink = ink(self.base)
        self.cloth = fabric(self.base, second(color), pattern, rng, SIZE)
        self.image = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))

    def part(
        self,
        points: Sequence[Point],
        *,
        shade: float = 1.0,
        color: RGB | None = None,
        light: bool = True,
        edge: float = 0.5,
    ) -> None:
        """Fill an outline with the cloth, or with one color, shaded and edged by a thin line."""
        path = self._pixels(outline(points))
        xs, ys = [p[0] for p in path], [p[1] for p in path]
        box = (
            max(0, int(min(xs)) - 2),
            max(0, int(min(ys)) - 2),
            min(SIZE, int(max(xs)) + 3),
            min(SIZE, int(max(ys)) + 3),
        )
        size = (box[2] - box[0], box[3] - box[1])
        fill = self.cloth.crop(box) if color is None else Image.new("RGB", size, color)
        if shade != 1.0:
            fill = fill.point(lambda value: min(255, round(value * shade)))
        if light:
            ramp = _LIGHT.resize(size, Image.Resampling.BILINEAR)
            fill = ImageChops.multiply(fill, Image.merge("RGB", (ramp, ramp, ramp)))
        mask = Image.new("L", size, 0)
        local = [(x - box[0], y - box[1]) for x, y in path]
        ImageDraw.Draw(mask).polygon(local, fill=255)
        self.image.paste(fill, box[:2], mask)
        if edge:
            tone = self.ink if color is None else ink(color)
            self._stroke([*path, path[0]], tone, edge)

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        *,
        shade: float = 1.0,
        color: RGB | None = None,
        light: bool = True,
        edge: float = 0.5,
    ) -> None:
        """Fill an ellipse around (x, y) as `part` does an outline."""
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        points = [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]
        self.part(points, shade=shade, color=color, light=light, edge=edge)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        *,
        shade: float = 1.0,
        color: RGB | None = None,
        light: bool = True,
        edge: float = 0.5,
    ) -> None:
        """Fill a rectangle as `part` does an outline."""
        corners = [(left, top, 0), (right, top, 0), (right, bottom, 0), (left, bottom, 0)]
        self.part(corners, shade=shade, color=color, light=light, edge=edge)

    def line(
        self, points: Sequence[Point], *, color: RGB | None = None, width: float = 0.5
    ) -> None:
        """Draw a smooth line: a seam, a fold, a lace."""
        path = self._pixels(outline(points, closed=False))
        self._stroke(path, self.ink if color is None else color, width)

    def stitches(self, points: Sequence[Point], *, color: RGB | None = None) -> None:
        """Draw a dashed seam."""
        path = self._pixels(outline(points, closed=False))
        draw = ImageDraw.Draw(self.image)
        tone = self.ink if color is None else color
        for one, other in list(pairwise(path))[::2]:
            draw.line((one, other), fill=tone, width=2)

    def button(self, x: float, y: float, radius: float = 0.9, color: RGB | None = None) -> None:
        """Draw a button, rivet or stud."""
        tone = scale(self.ink, 1.0) if color is None else color
        self.ellipse(x, y, radius, radius, color=tone, light=False, edge=0.2)

    @staticmethod
    def _pixels(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * SIZE / 100, y * SIZE / 100) for x, y in points]

    def _stroke(self, path: Sequence[tuple[float, float]], color: RGB, width: float) -> None:
        pixels = max(1, round(width * SIZE / 100))
        ImageDraw.Draw(self.image).line(list(path), fill=color, width=pixels, joint="curve")
