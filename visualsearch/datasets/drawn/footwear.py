"""Sneakers and boots, seen from the side, toe to the right."""

from visualsearch.datasets.drawn.palette import COLORS, METAL, ink, luminance, scale
from visualsearch.datasets.drawn.sketch import Point, Sketch


def sneaker(s: Sketch) -> None:
    """Draw a sneaker: padded collar, laces, toe cap, side stripes, thick white sole."""
    high = s.rng.random() < 0.3
    top = 26 if high else 38
    upper: list[Point] = [
        (11, 68, 0), (10.5, 55), (13, top + 2), (17, top), (24, top + 3), (35, top + 1),
        (40, top, 0), (50, 45), (62, 53), (78, 57), (90, 62), (92, 68, 0),
    ]  # fmt: skip
    s.part([(15, top + 4), (28, top - 2), (40, top, 0), (38, top + 8), (24, top + 9)], shade=0.55)
    s.part(upper)
    s.part([(36, top + 1, 0), (43, top - 3), (52, 43), (64, 52, 0), (58, 55), (47, 50)], shade=0.86)
    s.part([(75, 68, 0), (76, 59), (84, 58.5), (91, 62.5), (93, 68, 0)], shade=0.88)
    s.part([(10.8, 68, 0), (10.5, 52), (19, 50), (23, 60), (23, 68, 0)], shade=0.84)
    _laces(s, top)
    _side(s)
    sole = COLORS["white"] if luminance(s.base) < 225 or s.rng.random() < 0.5 else (222, 196, 160)
    s.part([(9, 67, 0), (50, 69.5), (94, 67, 0), (95.5, 72), (92, 77.5), (50, 77.5), (12, 78),
            (8.5, 74)], color=sole, edge=0.7)  # fmt: skip
    s.line([(9.5, 73.6), (50, 73.4), (94.5, 72.6)], color=ink(sole), width=0.5)
    s.part([(12, 77, 0), (91, 76.6, 0), (88, 79.4), (16, 79.8)], color=(96, 90, 86), edge=0)


def _laces(s: Sketch, top: float) -> None:
    lace = COLORS["white"] if luminance(s.base) < 200 else (120, 120, 126)
    for i in range(5):
        x, y = 41 + 5 * i, (top + 5) + (53 - top - 4) * (i / 4.4)
        s.line([(x - 4, y + 4.4), (x - 0.5, y + 0.2), (x + 2.6, y - 1.6)], color=lace, width=1.5)
    s.line([(40, top + 3), (33, top - 2), (31, top + 4), (39, top + 4)], color=lace, width=1)


def _side(s: Sketch) -> None:
    trim = COLORS["white"] if luminance(s.base) < 200 else (60, 62, 70)
    if s.rng.random() < 0.5:
        for x in (36, 42, 48):
            s.line([(x + 5, 54, 0), (x - 1, 67, 0)], color=trim, width=2)
    else:
        s.part([(28, 60, 0), (40, 66), (62, 57, 0), (42, 61.5)], color=trim, light=False, edge=0.2)
    s.stitches([(75, 66), (75.4, 60), (82, 57.6)])
    s.stitches([(24, 66), (24, 60), (20, 50)])


def boot(s: Sketch) -> None:
    """Draw a boot: high shaft, heel and sole; laced, or plain with a pull strap."""
    laced = s.rng.random() < 0.5
    top = s.rng.uniform(18, 26) if laced else s.rng.uniform(8, 18)
    heel = 92 if laced else 94
    sole = (46, 38, 34) if luminance(s.base) > 60 else (150, 104, 62)
    s.part([(26, top + 1), (40, top - 1.6), (55, top), (52, top + 5), (30, top + 5)], shade=0.5)
    s.part([
        (26, top + 1, 0), (40, top + 3), (55, top, 0), (55, 40), (56, 58), (63, 67), (77, 71),
        (86, 77), (88, 86, 0), (24, 86, 0), (23, 74), (27, 58), (27, 36),
    ])  # fmt: skip
    s.part([(22.5, 85, 0), (56, 86), (88.5, 85, 0), (89, 88), (86, 89.6, 0), (48, 89.6, 0),
            (44, heel, 0), (23.5, heel, 0)], color=sole)  # fmt: skip
    s.line([(66, 86), (66, 77), (71, 70.2)], width=0.7)
    s.line([(24, 72), (32, 70), (38, 75), (39, 86)], width=0.7)
    if laced:
        _boot_laces(s, top)
    else:
        s.line([(34, top + 3), (33, 45), (36, 64)], width=0.35)
        s.line([(30, 66), (41, 63), (57, 61)], width=0.5)
        s.box(37, top + 2.5, 41, top + 11, shade=0.7)
    s.line([(26.3, top + 4), (40, top + 6), (55, top + 3.4)], width=0.5)


def _boot_laces(s: Sketch, top: float) -> None:
    lace = scale(COLORS["beige"], 1.05) if luminance(s.base) < 150 else (84, 64, 48)
    s.part([(50, top + 3, 0), (55, top, 0), (55, 42), (56.5, 58), (64, 67, 0), (58, 68), (51, 58),
            (50, 42)], shade=0.8)  # fmt: skip
    rows = 7
    for i in range(rows):
        y = top + 8 + (60 - top - 8) * i / (rows - 1)
        shift = max(0.0, (i - 4) * 1.6)
        s.line([(49 + shift, y + 1), (56 + shift, y - 1)], color=lace, width=1.2)
        s.button(49 + shift, y + 1, 0.8, METAL)
