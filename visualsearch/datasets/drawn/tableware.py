"""Mugs, plates, bowls and vases."""

from visualsearch.datasets.drawn.palette import ink, luminance, mix, scale
from visualsearch.datasets.drawn.sketch import Point, Sketch, symmetric

COFFEE = (84, 52, 32)


def _inside(s: Sketch) -> tuple[int, int, int]:
    """Return the glaze of the inside: white, or the product's own color in shade."""
    return (236, 234, 230) if luminance(s.base) < 200 else scale(s.base, 0.82)


def mug(s: Sketch) -> None:
    """Draw a mug: cylinder, handle on the right, rim, coffee in some."""
    top, foot = s.rng.uniform(22, 28), s.rng.uniform(80, 86)
    wide, taper = s.rng.uniform(24, 27), s.rng.uniform(0, 4)
    left = 42 - wide
    right = 42 + wide
    tone = scale(s.base, 0.84) if luminance(s.base) > 50 else mix(s.base, (255, 255, 255), 0.12)
    grip: list[Point] = [(right - 3, top + 12), (right + 14, top + 12), (right + 20, top + 24)]
    grip += [(right + 15, foot - 20), (right - 3 - taper, foot - 13)]
    s.line(grip, color=ink(tone), width=7.4)
    s.line(grip, color=tone, width=6.4)
    s.part([(left, top, 0), (42, top + 5), (right, top, 0), (right - taper, foot - 4, 0),
            (right - taper - 2, foot - 1.4), (42, foot + 3), (left + taper + 2, foot - 1.4),
            (left + taper, foot - 4, 0)], edge=0.7)  # fmt: skip
    s.ellipse(42, top, wide, 6, edge=0.7)
    s.ellipse(42, top + 0.5, wide - 2, 4.8, color=_inside(s), light=False)
    if s.rng.random() < 0.5:
        s.ellipse(42, top + 2, wide - 4, 3.2, color=COFFEE, light=False, edge=0)
    s.line([(left + 6, top + 11), (left + 6.6, 50), (left + 7 + taper, foot - 8)],
           color=mix(s.base, (255, 255, 255), 0.4), width=1.4)  # fmt: skip


def plate(s: Sketch) -> None:
    """Draw a plate from above, slightly tilted: rim, ring and well."""
    ratio = s.rng.uniform(0.72, 1.0)
    rim = s.rng.uniform(40, 44)
    s.ellipse(50, 51.5, rim, rim * ratio, shade=0.7, light=False)
    s.ellipse(50, 50, rim, rim * ratio, edge=0.7)
    s.ellipse(50, 50, rim * 0.955, rim * ratio * 0.955, light=False, edge=0.3)
    well = s.rng.uniform(0.6, 0.7)
    s.ellipse(50, 50.3, rim * well, rim * ratio * well, shade=0.84, light=False, edge=0.6)
    s.ellipse(50, 51, rim * well * 0.94, rim * ratio * well * 0.94, shade=0.95)
    shine = mix(s.base, (255, 255, 255), 0.5)
    near, far = rim * 0.82, rim * ratio * 0.82
    s.line([(50 - near, 47), (50 - near * 0.86, 50 - far * 0.5),
            (50 - near * 0.5, 50 - far * 0.86)], color=shine, width=1.6)  # fmt: skip


def bowl(s: Sketch) -> None:
    """Draw a bowl from the side: wide open rim, round belly, a foot ring."""
    wide, depth = s.rng.uniform(38, 43), s.rng.uniform(34, 42)
    top = 40.0
    s.part([(38, top + depth - 3, 0), (62, top + depth - 3, 0), (60, top + depth + 3, 0),
            (50, top + depth + 4), (40, top + depth + 3, 0)], shade=0.72)  # fmt: skip
    half: list[Point] = [
        (50, top + 6, 0),
        (50 + wide, top, 0),
        (50 + wide * 0.9, top + depth * 0.45),
    ]
    s.part(symmetric([*half, (50 + wide * 0.55, top + depth * 0.88), (50, top + depth)]), edge=0.7)
    s.ellipse(50, top, wide, 10.5, edge=0.7)
    s.ellipse(50, top + 0.6, wide - 2, 9, color=_inside(s), edge=0.4)
    s.ellipse(50, top + 3.6, wide * 0.62, 4.4, color=scale(_inside(s), 0.9), light=False, edge=0)
    s.line([(50 - wide * 0.85, top + 13), (50 - wide * 0.72, top + depth * 0.6),
            (50 - wide * 0.5, top + depth * 0.82)],
           color=mix(s.base, (255, 255, 255), 0.4), width=1.4)  # fmt: skip


def vase(s: Sketch) -> None:
    """Draw a vase: narrow neck, full belly; a few stems in some."""
    neck, belly = s.rng.uniform(6, 10), s.rng.uniform(18, 25)
    top = s.rng.uniform(30, 36)
    if s.rng.random() < 0.6:
        _flowers(s, top)
    profile: list[Point] = [
        (50, top, 0), (50 + neck + 3, top, 0), (50 + neck, top + 8), (50 + neck + 2, top + 17),
        (50 + belly, 64), (50 + belly * 0.85, 80), (50 + belly * 0.55, 92, 0), (50, 93.2),
    ]  # fmt: skip
    s.part(symmetric(profile), edge=0.7)
    s.ellipse(50, top, neck + 3, 2.4, shade=0.9)
    s.ellipse(50, top + 0.3, neck + 1.4, 1.5, color=scale(s.base, 0.42), light=False, edge=0)
    if s.rng.random() < 0.5:
        s.line(
            [(50 - neck - 1, top + 15.4), (50, top + 17), (50 + neck + 1, top + 15.4)], width=0.9
        )
    shine = mix(s.base, (255, 255, 255), 0.45)
    s.line([(50 - belly * 0.74, 56), (50 - belly * 0.8, 66), (50 - belly * 0.66, 78)],
           color=shine, width=1.6)  # fmt: skip


def _flowers(s: Sketch, top: float) -> None:
    petal = s.rng.choice(((246, 240, 236), (240, 186, 196), (246, 214, 120)))
    for x, y in ((38, 12), (50, 7), (62, 13), (56, 20), (44, 19)):
        s.line([(50, top + 2), ((50 + x) / 2 + 1, (top + y) / 2), (x, y)],
               color=(74, 122, 62), width=0.9)  # fmt: skip
        for dx, dy in ((2, 0), (-2, 0), (0, 2), (0, -2)):
            s.ellipse(x + dx, y + dy, 2.2, 2.2, color=petal, light=False, edge=0.2)
        s.ellipse(x, y, 1.6, 1.6, color=(222, 166, 50), light=False, edge=0)
