"""Handbags and backpacks."""

from visualsearch.datasets.drawn.palette import METAL, luminance, mix, scale
from visualsearch.datasets.drawn.sketch import Point, Sketch, symmetric

GOLD = (208, 170, 92)


def handbag(s: Sketch) -> None:
    """Draw a handbag: arched handles; an open tote, or a flap with a clasp."""
    flap = s.rng.random() < 0.55
    top = 44.0
    arch = s.rng.uniform(12, 18) if flap else s.rng.uniform(8, 13)
    strap = scale(s.base, 0.72) if luminance(s.base) > 60 else mix(s.base, (255, 255, 255), 0.16)
    handle: list[Point] = [
        (34, top + 4),
        (36, arch + 12),
        (50, arch),
        (64, arch + 12),
        (66, top + 4),
    ]
    s.line([(x, y - 2) for x, y in (p[:2] for p in handle)], color=scale(strap, 0.75), width=2.2)
    half: list[Point] = [(50, top, 0), (72, top, 0), (77, 52), (83, 82), (80, 88), (50, 89)]
    s.part(symmetric(half), edge=0.8)
    s.line(handle, color=strap, width=2.8)
    for x in (34, 66):
        s.box(x - 2.4, top + 2, x + 2.4, top + 10, color=strap)
        s.button(x, top + 8, 1, GOLD)
    if flap:
        s.part(symmetric([(50, top - 1, 0), (73, top - 1, 0), (77, 58), (66, 68), (50, 71)]),
               shade=0.93, edge=0.9)  # fmt: skip
        s.stitches([(26, 58), (36, 66), (50, 69), (64, 66), (74, 58)])
        s.box(46, 66, 54, 74, color=GOLD)
        s.button(50, 70, 1.1, scale(GOLD, 0.6))
    else:
        s.line([(28.5, top + 2.6), (50, top + 3), (71.5, top + 2.6)], width=0.5)
        s.stitches([(22, 80), (50, 82), (78, 80)])
        s.line([(29, top + 1), (26, 64), (20, 86)], width=0.5)
        s.line([(71, top + 1), (74, 64), (80, 86)], width=0.5)
        s.box(46, 58, 54, 63, color=GOLD)


def backpack(s: Sketch) -> None:
    """Draw a backpack from the front: top loop, zips, front pocket, straps at the sides."""
    strap = scale(s.base, 0.6) if luminance(s.base) > 60 else mix(s.base, (255, 255, 255), 0.14)
    for x in (24, 76):
        lean = -1 if x < 50 else 1
        s.line([(50 + 20 * lean, 18), (x + 4 * lean, 34), (x + 5 * lean, 60), (x, 84)],
               color=strap, width=3.6)  # fmt: skip
    s.line([(43, 13), (44, 5), (50, 3.4), (56, 5), (57, 13)], color=strap, width=2.4)
    shell: list[Point] = [(50, 9), (62, 11), (73, 22), (77, 45), (78.5, 80), (75, 91), (50, 92.5)]
    s.part(symmetric(shell), edge=0.8)
    zipper = scale(s.base, 0.45) if luminance(s.base) > 60 else METAL
    s.line([(27, 46), (29, 27), (40, 17.4), (50, 16), (60, 17.4), (71, 27), (73, 46)],
           color=zipper, width=1.1)  # fmt: skip
    s.box(71.8, 44, 74.2, 50, color=METAL, light=False)
    pocket: list[Point] = [(50, 54, 0), (68, 54), (71, 58), (71.5, 80), (68, 86), (50, 87)]
    s.part(symmetric(pocket), shade=0.9, edge=0.8)
    s.line([(31, 60), (50, 59), (69, 60)], color=zipper, width=1.1)
    s.box(65, 60, 67, 66, color=METAL, light=False)
    if s.rng.random() < 0.6:
        s.part([(44, 33, 0), (56, 33, 0), (56, 43, 0), (44, 43, 0)], color=(176, 122, 74))
        s.stitches([(45, 34, 0), (55, 34, 0), (55, 42, 0), (45, 42, 0), (45, 34, 0)])
    else:
        s.line([(28, 48), (50, 47), (72, 48)], width=1.8, color=strap)
    for side in (22.4, 77.6):
        s.line([(side, 62), (side * 0.985 + 0.75, 74), (side, 88)], width=0.8)
