"""Skirts, dresses, trousers and shorts."""

from visualsearch.datasets.drawn.palette import COLORS, METAL
from visualsearch.datasets.drawn.sketch import Point, Sketch, mirrored, symmetric


def dress(s: Sketch) -> None:
    """Draw a dress: bodice, waist, flared skirt; with straps, cap or long sleeves."""
    rng = s.rng
    hem, width = rng.uniform(84, 95), rng.uniform(24, 33)
    waist, neck = rng.uniform(9.5, 11.5), rng.uniform(13, 19)
    style = rng.choice(("straps", "cap", "long"))
    if style == "long":
        sleeve: list[Point] = [
            (61, 9, 0),
            (66, 12),
            (71, 30),
            (73, 46, 0),
            (68.5, 47, 0),
            (65, 32),
            (61, 22, 0),
        ]
        s.part(sleeve, shade=0.93)
        s.part(mirrored(sleeve), shade=0.98)
    shoulder = 61 if style != "straps" else 58.5
    top = 8 if style != "straps" else 6
    bodice: list[Point] = [
        (50, neck),
        (54, neck - 1),
        (56, top, 0),
        (shoulder, top + 1, 0),
        (62, 18),
        (62, 25),
    ]
    body = symmetric(
        [*bodice, (50 + waist, 37), (50 + waist + 5, 50), (50 + width, hem - 1, 0), (50, hem + 2)]
    )
    if style == "cap":
        cap: list[Point] = [(59, 8, 0), (65, 11), (69, 18, 0), (62, 22, 0)]
        s.part(cap, shade=0.93)
        s.part(mirrored(cap), shade=0.98)
    s.part(body)
    for x in (-0.55, -0.2, 0.2, 0.55):  # folds that fall from the waist
        s.line([(50 + x * waist, 40), (50 + x * waist * 1.6, 58), (50 + x * width * 1.15, hem - 3)])
    if rng.random() < 0.6:
        s.box(50 - waist, 36, 50 + waist, 38.6, shade=0.78)
        s.button(50, 37.3, 1.1, METAL)
    s.line([(44, top), (46, neck - 1), (50, neck + 0.8), (54, neck - 1), (56, top)], width=0.8)
    s.line([(50 - width, hem - 3), (50, hem), (50 + width, hem - 3)], width=0.3)


def skirt(s: Sketch) -> None:
    """Draw a skirt: waistband and pleats, knee-long or short, straight or flared."""
    rng = s.rng
    hem, width = rng.uniform(68, 86), rng.uniform(25, 38)
    half: list[Point] = [(63, 22, 0), (67, 34), (50 + width, hem, 0), (50, hem + 3.5)]
    s.part(symmetric([(50, 22, 0), *half]))
    pleats = rng.choice((5, 7, 9))
    for i in range(1, pleats):
        x = i / pleats * 2 - 1
        s.line(
            [(50 + 12 * x, 23), (50 + width * 0.6 * x, 45), (50 + width * x, hem + 2 - 2 * x * x)]
        )
    s.part([(36, 16, 0), (50, 17), (64, 16, 0), (64.5, 22, 0), (50, 23), (35.5, 22, 0)], shade=0.85)
    s.button(50, 19.6, 1)
    s.line([(50 - width, hem - 2.5), (50, hem + 1), (50 + width, hem - 2.5)], width=0.3)


def _legs(s: Sketch, hem: float, inner: float, outer: float) -> None:
    """Draw waistband, two legs, fly and pockets; trousers and shorts differ in length."""
    crotch = 42
    leg: list[Point] = [
        (50, 15, 0), (64, 15, 0), (68, 32), (50 + outer, hem, 0), (50 + inner, hem + 0.8, 0),
        (51.5, crotch + 3), (50, crotch, 0),
    ]  # fmt: skip
    s.part(leg, shade=0.95)
    s.part(mirrored(leg))
    s.part([(35.5, 9, 0), (50, 10), (64.5, 9, 0), (65, 15, 0), (50, 16), (35, 15, 0)], shade=0.88)
    s.line([(50, 16, 0), (50, crotch, 0)], width=0.7)
    s.stitches([(52.5, 16), (53, 27), (50.5, 33)])
    for flip in (mirrored, list):
        s.line(flip([(58, 15.5), (60, 21), (66, 23)]), width=0.7)
        loop: list[Point] = [(57, 8.6, 0), (58.4, 8.6, 0), (58.4, 15.6, 0), (57, 15.6, 0)]
        s.part(flip(loop), shade=0.8)
        s.line(flip([(50 + inner, hem - 1.5, 0), (50 + outer, hem - 2.3, 0)]), width=0.3)
    s.button(50, 12.6, 1, METAL)


def trousers(s: Sketch) -> None:
    """Draw long trousers: slim, straight or wide."""
    inner, outer = s.rng.choice(((4, 14), (3, 17), (3, 20), (5, 16)))
    _legs(s, s.rng.uniform(90, 96), inner, outer)
    for flip in (mirrored, list):  # the crease of each leg
        s.line(flip([(58, 24), (59, 50), (50 + (inner + outer) / 2, 90)]), width=0.3)


def shorts(s: Sketch) -> None:
    """Draw shorts that end above the knee, with a turned-up hem on some."""
    hem = s.rng.uniform(54, 64)
    inner, outer = 3, s.rng.uniform(22, 26)
    _legs(s, hem, inner, outer)
    if s.rng.random() < 0.5:
        for flip in (mirrored, list):
            cuff: list[Point] = [(50 + inner, hem - 4, 0), (50 + outer - 1, hem - 5, 0)]
            cuff += [(50 + outer + 0.5, hem + 0.3, 0), (50 + inner, hem + 1.5, 0)]
            s.part(flip(cuff), shade=0.85)
    else:
        s.line([(48, 16), (46, 28)], color=COLORS["white"], width=0.7)
        s.line([(52, 16), (54, 27)], color=COLORS["white"], width=0.7)
