"""Chairs, sofas, tables and lamps."""

from visualsearch.datasets.drawn.palette import METAL, RGB, WOOD, luminance, mix, scale
from visualsearch.datasets.drawn.sketch import Point, Sketch, symmetric

BRASS: RGB = (190, 156, 92)


def _wood(s: Sketch) -> RGB:
    return scale(WOOD, s.rng.uniform(0.7, 1.2))


def _leg(s: Sketch, top: tuple[float, float], foot: tuple[float, float], color: RGB) -> None:
    """Draw a tapered leg."""
    (x, y), (fx, fy) = top, foot
    s.part([(x - 1.9, y, 0), (x + 1.9, y, 0), (fx + 1.2, fy, 0), (fx - 1.2, fy, 0)], color=color)


def chair(s: Sketch) -> None:
    """Draw a chair in three-quarter view: back, cushioned seat, four wooden legs."""
    wood = _wood(s)
    seat, foot = 56.0, s.rng.uniform(92, 95)
    _leg(s, (67, seat), (70, foot - 8), scale(wood, 0.7))
    _leg(s, (40, seat), (38, foot - 8), scale(wood, 0.7))
    back = s.rng.choice(("shell", "slats", "panel"))
    if back == "slats":
        for x in (36, 44.3, 52.6, 61, 69):
            s.part([(x - 1.5, 16, 0), (x + 1.5, 16, 0), (x + 1.4, seat, 0), (x - 1.4, seat, 0)])
        s.part([(32, 10), (52, 7), (73, 10), (73, 18), (52, 16), (32, 18)])
        s.part([(33, 36, 0), (72, 36, 0), (72, 40, 0), (33, 40, 0)])
    elif back == "shell":
        s.part([(36, 52), (31, 28), (36, 11), (52, 7), (68, 11), (74, 28), (69, 52), (52, 57)])
        s.line([(38, 50), (34, 28), (39, 13), (52, 10), (66, 13), (71, 28), (67, 50)], width=0.4)
    else:
        s.part([(33, 12), (52, 8), (72, 12), (70, 36), (52, 38), (35, 36)])
        for x in (38, 66):
            s.part([(x - 1.4, 36, 0), (x + 1.4, 36, 0), (x + 1.2, seat, 0), (x - 1.2, seat, 0)],
                   color=wood)  # fmt: skip
    s.part([(35, 51), (69, 51), (78, 63), (76, 66), (50, 68), (26, 66), (24, 63)], shade=0.97)
    s.part([(24, 63, 0), (50, 66), (78, 63, 0), (77.5, 68, 0), (50, 71.6), (25, 68, 0)], shade=0.76)
    _leg(s, (28.5, 69), (25, foot), wood)
    _leg(s, (74, 69), (77, foot), wood)


def sofa(s: Sketch) -> None:
    """Draw a sofa from the front: back, two or three cushions, arms, short feet."""
    wood = scale(_wood(s), 0.7)
    seats = s.rng.choice((2, 3, 3))
    left, right = (8, 92) if seats == 3 else (14, 86)
    top = s.rng.uniform(28, 34)
    for x in (left + 5, right - 5):
        s.part([(x - 2, 74, 0), (x + 2, 74, 0), (x + 1, 82, 0), (x - 1, 82, 0)], color=wood)
    s.part([(left + 4, 66, 0), (left + 4, top + 4), (left + 8, top), (50, top - 1),
            (right - 8, top), (right - 4, top + 4), (right - 4, 66, 0)], shade=0.86)  # fmt: skip
    inner, wide = left + 11, (right - left - 22) / seats
    for i in range(seats):
        a, b = inner + i * wide, inner + (i + 1) * wide
        s.part([(a + 0.6, top + 7), (a + 2, top + 4), (b - 2, top + 4), (b - 0.6, top + 7),
                (b - 0.4, 54), (a + 0.4, 54)], shade=0.97)  # fmt: skip
    s.box(left + 6, 62, right - 6, 75, shade=0.78)
    for i in range(seats):
        a, b = inner + i * wide, inner + (i + 1) * wide
        s.part([(a, 56), (a + 2, 53), (b - 2, 53), (b, 56), (b, 63), (b - 2, 65.4), (a + 2, 65.4),
                (a, 63)])  # fmt: skip
    for x in (left, right - 12):
        s.part([(x, 76, 0), (x, 50), (x + 2, 44), (x + 10, 44), (x + 12, 50), (x + 12, 76, 0)],
               shade=0.92, edge=0.7)  # fmt: skip
    if s.rng.random() < 0.45:
        tone = mix(s.base, (255, 255, 255), 0.55) if luminance(s.base) < 190 else (150, 150, 156)
        x = left + 20
        s.part([(x - 6, 42, 0), (x, 43), (x + 6, 40, 0), (x + 6.5, 46), (x + 8, 53, 0), (x, 53),
                (x - 5, 55, 0), (x - 5, 48)], color=tone)  # fmt: skip


def table(s: Sketch) -> None:
    """Draw a table in perspective: a rectangular or round top and its legs."""
    foot = s.rng.uniform(86, 92)
    dark = scale(s.base, 0.72)
    if s.rng.random() < 0.6:
        for x, y in ((27, 76), (73, 76)):
            s.part([(x - 1.8, 46, 0), (x + 1.8, 46, 0), (x + 1.4, y, 0), (x - 1.4, y, 0)],
                   color=scale(dark, 0.85))  # fmt: skip
        s.part([(8, 52, 0), (92, 52, 0), (88, 60, 0), (12, 60, 0)], shade=0.62)
        s.part([(24, 36, 0), (76, 36, 0), (96, 51, 0), (4, 51, 0)])
        s.part([(4, 51, 0), (96, 51, 0), (96, 54.5, 0), (4, 54.5, 0)], shade=0.8)
        for x in (11, 89):
            s.part([(x - 2.6, 54.5, 0), (x + 2.6, 54.5, 0), (x + 2, foot, 0), (x - 2, foot, 0)],
                   shade=0.86)  # fmt: skip
        for share in (0.35, 0.7):  # planks
            s.line([(24 - 20 * share, 36 + 15 * share, 0), (76 + 20 * share, 36 + 15 * share, 0)],
                   width=0.3)  # fmt: skip
        return
    for hip, knee in ((50, 50), (26, 20), (74, 80)):
        end = foot - 9 if hip == 50 else foot
        leg: list[Point] = [(hip - 2, 50, 0), (hip + 2, 50, 0), (knee + 1.3, end, 0)]
        s.part([*leg, (knee - 1.3, end, 0)], shade=0.78)
    s.ellipse(50, 49, 43, 12, shade=0.72)
    s.ellipse(50, 46, 43, 12)
    s.line([(14, 43), (40, 39), (70, 38.5)], width=0.3)


def lamp(s: Sketch) -> None:
    """Draw a table lamp: fabric shade, slim or bellied foot, a glow under the shade."""
    wide, narrow = s.rng.uniform(26, 32), s.rng.uniform(14, 20)
    stem = s.rng.choice((BRASS, METAL, WOOD))
    bellied = s.rng.random() < 0.5
    if bellied:
        body: list[Point] = [(50, 52, 0), (52.5, 52, 0), (54, 60), (64, 72), (62, 84), (56, 89, 0)]
        s.part(symmetric([*body, (50, 89.6)]), shade=0.9)
    else:
        s.part([(48.4, 48, 0), (51.6, 48, 0), (51.6, 88, 0), (48.4, 88, 0)], color=stem)
        s.ellipse(50, 73, 3.6, 3.6, color=stem)
    s.ellipse(50, 90, 17 if not bellied else 13, 3.8, color=stem)
    s.ellipse(50, 50, wide, 4.4, color=(255, 236, 180), light=False)
    s.part([(50 - narrow, 12, 0), (50, 13.6), (50 + narrow, 12, 0), (50 + wide, 49.4, 0),
            (50, 53.4), (50 - wide, 49.4, 0)])  # fmt: skip
    s.ellipse(50, 12, narrow, 2.2, shade=0.7, light=False)
    s.line([(50 - wide + 1, 47.6), (50, 51.6), (50 + wide - 1, 47.6)], width=0.5)
    if s.rng.random() < 0.5:
        s.line([(61, 53, 0), (61, 64, 0)], color=stem, width=0.5)
        s.button(61, 64.6, 0.9, stem)
