"""T-shirts, shirts, jackets and hats."""

from visualsearch.datasets.drawn.palette import COLORS, METAL, scale
from visualsearch.datasets.drawn.sketch import Point, Sketch, mirrored, symmetric


def _body(shoulder: float, hem: float, waist: float) -> list[Point]:
    half: list[Point] = [(50, 16), (55, 14.5), (58, 10, 0), (50 + shoulder, 15, 0)]
    half += [(70, 32), (50 + waist, 60), (50 + waist + 0.5, hem, 0), (50, hem + 1.2)]
    return symmetric(half)


def _both_sleeves(s: Sketch, sleeve: list[Point]) -> None:
    s.part(sleeve, shade=0.9)
    s.part(mirrored(sleeve), shade=0.96)


def t_shirt(s: Sketch) -> None:
    """Draw a T-shirt: short sleeves, ribbed round or V neck."""
    hem, waist = s.rng.uniform(80, 88), s.rng.uniform(18.5, 21.5)
    tip = s.rng.uniform(30, 37)
    sleeve: list[Point] = [
        (66, 13, 0), (75, 18), (87, tip - 2, 0), (76.5, tip + 6, 0), (69, 30, 0),
    ]  # fmt: skip
    _both_sleeves(s, sleeve)
    s.part(_body(18, hem, waist))
    _inside_neck(s)
    dip = s.rng.choice((17.5, 24))
    neck: list[Point] = [(41, 10.2), (44, 15), (50, dip), (56, 15), (59, 10.2)]
    s.line(neck, width=2.2, color=scale(s.base, 0.84))
    s.line([(x, y + 1.2) for x, y in (p[:2] for p in neck)], width=0.4)
    s.line([(67.5, 16), (68.5, 24), (69, 32)], width=0.5)
    s.line([(32.5, 16), (31.5, 24), (31, 32)], width=0.5)
    for flip in (mirrored, list):
        s.stitches(flip([(85, tip - 3.2), (75.8, tip + 3.8)]))
    s.stitches([(50 - waist, hem - 3), (50, hem - 1.8), (50 + waist, hem - 3)])
    s.line([(36, 62), (43, 70), (40, 78)], width=0.3)
    s.line([(64, 58), (58, 68), (61, 77)], width=0.3)


def _inside_neck(s: Sketch) -> None:
    """Show the far side of the collar through the opening."""
    s.part([(42, 10.3, 0), (50, 8.5), (58, 10.3, 0), (55, 14.6), (50, 16.2), (45, 14.6)], shade=0.6)


def _long_sleeve(width: float) -> list[Point]:
    return [
        (66, 13.5, 0), (74, 19), (82, 45), (87, 74, 0), (87 - width, 76, 0), (72, 48), (69, 31, 0),
    ]  # fmt: skip


def shirt(s: Sketch) -> None:
    """Draw a buttoned shirt: pointed collar, placket with buttons, cuffs, chest pocket."""
    hem, waist = s.rng.uniform(83, 90), s.rng.uniform(18, 21)
    sleeve = _long_sleeve(8.5)
    _both_sleeves(s, sleeve)
    s.part(_body(18, hem, waist))
    _inside_neck(s)
    cuff: list[Point] = [(85.6, 68, 0), (87.6, 76.5, 0), (78.2, 78.5, 0), (77, 70.3, 0)]
    s.part(cuff, shade=0.85)
    s.part(mirrored(cuff), shade=0.85)
    s.part([(48.2, 17, 0), (51.8, 17, 0), (51.8, hem + 1, 0), (48.2, hem + 1, 0)], light=False)
    pale = COLORS["white"] if sum(s.base) < 500 else s.ink
    for y in range(22, int(hem) - 3, 10):
        s.button(50, y, 0.95, pale)
    collar: list[Point] = [(50, 17, 0), (57, 8.5, 0), (60.5, 10.5, 0), (60, 22, 0)]
    s.part(collar, shade=0.97, edge=0.7)
    s.part(mirrored(collar), shade=1.0, edge=0.7)
    if s.rng.random() < 0.7:
        s.part([(56, 31, 0), (65.5, 31, 0), (65.5, 40, 0), (60.7, 43, 0), (56, 40, 0)], edge=0.7)
        s.line([(56, 33.5, 0), (65.5, 33.5, 0)], width=0.4)
    s.line([(67.5, 16), (68.8, 24), (69, 33)])
    s.line([(32.5, 16), (31.2, 24), (31, 33)])


def jacket(s: Sketch) -> None:
    """Draw a jacket: a blazer with lapels, or a zipped one with stand-up collar and hem band."""
    sleeve = _long_sleeve(11)
    _both_sleeves(s, sleeve)
    hem = s.rng.uniform(80, 86)
    s.part(_body(19.5, hem, s.rng.uniform(20.5, 22.5)), edge=0.8)
    (_blazer if s.rng.random() < 0.45 else _zipped)(s, hem)
    s.line([(68, 16), (69.3, 24), (69, 34)], width=0.7)
    s.line([(32, 16), (30.7, 24), (31, 34)], width=0.7)


def _blazer(s: Sketch, hem: float) -> None:
    s.part([(41, 9.5, 0), (59, 9.5, 0), (51, 48, 0), (49, 48, 0)], color=(236, 236, 238), edge=0.4)
    s.line([(50, 12, 0), (50, 46, 0)], color=(200, 200, 204), width=0.5)
    lapel: list[Point] = [(58, 8.5, 0), (61.5, 11, 0), (66, 24, 0), (62, 26, 0), (64, 29, 0)]
    lapel += [(50.5, 50, 0)]
    s.part(lapel, shade=0.88, edge=0.8)
    s.part(mirrored(lapel), shade=0.95, edge=0.8)
    s.line([(50.5, 50), (50.2, 68), (52, hem)], width=0.9)
    for y in (54, 63):
        s.button(52.5, y, 1.2, scale(s.ink, 0.7))
    for flip in (mirrored, list):
        s.part(flip([(56, 64, 0), (68, 63, 0), (68, 67, 0), (56, 68, 0)]), shade=0.86)


def _zipped(s: Sketch, hem: float) -> None:
    s.part([(29, hem - 5, 0), (50, hem - 4), (71, hem - 5, 0), (71, hem + 1, 0), (50, hem + 2.2),
            (29, hem + 1, 0)], shade=0.75)  # fmt: skip
    for x in range(31, 71, 3):
        s.line([(x, hem - 4, 0), (x, hem + 0.6, 0)], width=0.25)
    cuff: list[Point] = [(85.8, 68, 0), (87.4, 75, 0), (76, 77.2, 0), (74.8, 70, 0)]
    s.part(cuff, shade=0.75)
    s.part(mirrored(cuff), shade=0.75)
    s.part([(40, 8, 0), (50, 6), (60, 8, 0), (61.5, 15), (50, 19, 0), (38.5, 15)], shade=0.78)
    s.line([(50, 8, 0), (50, hem + 1.5, 0)], width=1.9, color=scale(s.base, 0.5))
    s.line([(50, 8, 0), (50, hem + 1.5, 0)], width=0.7, color=METAL)
    s.box(49.1, 20, 50.9, 24.5, color=METAL, light=False)
    for flip in (mirrored, list):
        s.line(flip([(57, 58), (63.5, 70)]), width=1.3, color=scale(s.base, 0.5))
    if s.rng.random() < 0.6:
        s.line([(31, 30), (40, 32), (50, 32.6), (60, 32), (69, 30)], width=0.6)


def hat(s: Sketch) -> None:
    """Draw a brimmed hat with a band, or a peaked cap."""
    (_brimmed if s.rng.random() < 0.6 else _cap)(s)


def _brimmed(s: Sketch) -> None:
    wide = s.rng.uniform(36, 44)
    height = s.rng.uniform(24, 32)
    s.ellipse(50, 66, wide, 12, shade=0.92)
    s.ellipse(50, 64.8, wide * 0.66, 6.5, shade=0.62, light=False, edge=0)
    half: list[Point] = [(50, 65.5 - height + 2), (57, 63 - height), (67, 67 - height), (72, 60)]
    s.part(symmetric([*half, (73, 65, 0), (62, 69.4), (50, 70.4)]))
    band: list[Point] = [(71.6, 57, 0), (73, 65, 0), (62, 69.4), (50, 70.4)]
    other = COLORS["black"] if sum(s.base) > 180 else COLORS["beige"]
    band_top: list[Point] = [(50, 62.8), (62, 61.6)]
    s.part(symmetric([*band_top, *band]), color=other)
    s.line([(50, 68 - height), (50, 61)], width=0.6)


def _cap(s: Sketch) -> None:
    s.part([(63, 58, 0), (76, 56.5), (93, 62), (94, 66), (80, 66.5), (62, 66, 0)], shade=0.78)
    s.part([(16, 65, 0), (18, 44), (32, 29), (50, 27), (64, 37), (70, 56), (70, 64, 0), (45, 68)])
    s.line([(46, 27), (51, 42), (51, 67)], width=0.6)
    s.line([(46, 27), (30, 42), (26, 66)], width=0.6)
    s.line([(46, 27), (64, 40), (69.5, 63)], width=0.6)
    s.ellipse(46, 26.6, 2.4, 1.5, shade=0.8)
    s.stitches([(18, 63), (45, 66), (69, 62.5)])
    for x, y in ((38, 38), (57, 37)):
        s.button(x, y, 0.8)
