"""Color names, their RGB values and small calculations on colors."""

import colorsys
import random

RGB = tuple[int, int, int]

COLORS: dict[str, RGB] = {
    "navy": (28, 38, 84),
    "blue": (46, 104, 206),
    "red": (200, 30, 40),
    "white": (246, 246, 244),
    "black": (28, 28, 30),
    "green": (52, 132, 64),
    "yellow": (246, 206, 52),
    "pink": (242, 150, 182),
    "brown": (112, 70, 40),
    "grey": (140, 142, 146),
    "beige": (222, 204, 170),
    "orange": (236, 122, 36),
    "purple": (116, 58, 150),
    "teal": (16, 128, 134),
}

WOOD: RGB = (156, 110, 68)
METAL: RGB = (170, 172, 178)


def jitter(color: RGB, rng: random.Random) -> RGB:
    """Return a random color near a color, still of the same name."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    h += rng.uniform(-0.012, 0.012)
    s *= rng.uniform(0.9, 1.08)
    v *= rng.uniform(0.93, 1.05)
    r, g, b = colorsys.hsv_to_rgb(h % 1, min(s, 1), min(v, 0.98))
    return round(r * 255), round(g * 255), round(b * 255)


def scale(color: RGB, factor: float) -> RGB:
    """Darken (factor < 1) or lighten (factor > 1) a color."""
    r, g, b = (max(0, min(255, round(c * factor))) for c in color)
    return r, g, b


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Blend two colors; `share` is the weight of the other one."""
    r, g, b = (round(p * (1 - share) + q * share) for p, q in zip(one, other, strict=True))
    return r, g, b


def luminance(color: RGB) -> float:
    """Return the perceived brightness, 0 to 255."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def ink(color: RGB) -> RGB:
    """Return a line color that shows on a surface: darker, or lighter where it is dark."""
    if luminance(color) < 55:
        return mix(color, (255, 255, 255), 0.3)
    return scale(color, 0.72 if luminance(color) > 200 else 0.62)


def second(name: str) -> RGB:
    """Return the color that goes with a named one in a pattern."""
    dark_on = {"white": "navy", "beige": "brown", "yellow": "white", "pink": "white"}
    return COLORS[dark_on.get(name, "white")]
