"""Backgrounds of a drawn product: white, a room, or a phone photo."""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from visualsearch.datasets.drawn.palette import RGB, scale

VIEW = 320  # pixels a side of a catalog image
HUNG = frozenset({"dress", "shirt", "t-shirt", "jacket", "skirt", "trousers", "shorts"})
_WALLS: tuple[RGB, ...] = (
    (224, 222, 218), (206, 212, 216), (232, 222, 210), (212, 218, 206), (222, 212, 216),
)  # fmt: skip


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """Encode an image as JPEG."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def catalog_view(thing: Image.Image, rng: random.Random) -> Image.Image:
    """Put a thing on white with a faint shadow, as in a catalog."""
    side = round(VIEW * rng.uniform(0.88, 0.98))
    small = thing.resize((side, side), Image.Resampling.BOX)
    at = ((VIEW - side) // 2, (VIEW - side) // 2)
    scene = Image.new("RGB", (VIEW, VIEW), (255, 255, 255))
    return _place(scene, small, at, strength=0.22)


def lifestyle_view(thing: Image.Image, kind: str, rng: random.Random) -> Image.Image:
    """Show the other side of a thing, turned a little, on a hanger or in a room."""
    side = round(VIEW * rng.uniform(0.68, 0.86))
    small = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small = small.resize((round(side * rng.uniform(0.82, 1.0)), side), Image.Resampling.BOX)
    lean = rng.uniform(-7, 7) if kind in HUNG else rng.uniform(-3, 3)
    small = small.rotate(lean, Image.Resampling.BILINEAR)
    wall = rng.choice(_WALLS)
    scene = Image.new("RGB", (VIEW, VIEW), wall)
    draw = ImageDraw.Draw(scene)
    left = (VIEW - small.width) // 2 + rng.randint(-14, 14)
    top = (VIEW - small.height) // 2 + rng.randint(-4, 10)
    if kind in HUNG:
        _hanger(draw, left + small.width / 2, top)
    else:
        floor: RGB = rng.choice(((188, 152, 112), (170, 166, 160), (214, 200, 178), (146, 112, 80)))
        _floor(draw, (VIEW, VIEW), round(top + small.height * 0.76), floor, rng)
    return _place(scene, small, (left, top), strength=0.4)


def _place(
    scene: Image.Image, thing: Image.Image, at: tuple[int, int], strength: float
) -> Image.Image:
    """Paste a thing with its soft shadow."""
    alpha = Image.new("L", scene.size, 0)
    alpha.paste(thing.getchannel("A"), (at[0] + thing.width // 60, at[1] + thing.height // 45))
    shadow = alpha.filter(ImageFilter.BoxBlur(max(3, thing.width // 50)))
    scene.paste((40, 40, 46), (0, 0), shadow.point(lambda value: round(value * strength)))
    scene.paste(thing, at, thing)
    return scene


def _hanger(draw: ImageDraw.ImageDraw, x: float, top: float) -> None:
    """Draw a rail and a wire hanger above a garment."""
    y = top + 24
    metal = (120, 122, 128)
    draw.line((0, 10, VIEW, 10), fill=(92, 90, 92), width=5)
    draw.line([(x, 12), (x, y - 4), (x - 30, y + 8)], fill=metal, width=3)
    draw.line([(x, y - 4), (x + 30, y + 8)], fill=metal, width=3)


def _floor(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], top: int, color: RGB, rng: random.Random
) -> None:
    """Draw boards from `top` down."""
    width, height = size
    draw.rectangle((0, top, width, height), fill=color)
    draw.line((0, top, width, top), fill=scale(color, 0.75), width=max(2, width // 160))
    for _ in range(5):
        x = rng.uniform(0, width)
        end = (x - width / 2) * 1.8 + width / 2
        draw.line((x, top, end, height), fill=scale(color, 0.88), width=max(1, width // 220))


def photo_view(thing: Image.Image, rng: random.Random, width: int = 1200) -> bytes:
    """Take a phone photo of a thing: tilted, cluttered, tinted, noisy, stored on its side (EXIF).

    At the default width the JPEG holds 1600 x 1200 pixels with orientation 6: upright it is
    1200 x 1600.
    """
    height = width * 4 // 3
    scene = _clutter(width // 2, height // 2, rng).resize((width, height))
    side = round(width * rng.uniform(0.72, 0.9))
    big = _tilted(thing, side, rng)
    at = (
        round((width - side) / 2 + width * rng.uniform(-0.06, 0.06)),
        round((height - side) / 2 + width * rng.uniform(-0.12, 0.12)),
    )
    scene = _place(scene, big, at, strength=0.5)
    lit = _lit(scene, rng)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: rotate by 90 degrees to see it so
    out = io.BytesIO()
    sideways = lit.transpose(Image.Transpose.ROTATE_90)
    sideways.save(out, "JPEG", quality=82, exif=exif)
    return out.getvalue()


def _clutter(width: int, height: int, rng: random.Random) -> Image.Image:
    """Draw a room: wall, floor, and boxes, books and round things about."""
    scene = Image.new("RGB", (width, height), rng.choice(_WALLS))
    draw = ImageDraw.Draw(scene)
    floor: RGB = rng.choice(((170, 130, 92), (150, 148, 146), (196, 178, 150)))
    _floor(draw, (width, height), round(height * rng.uniform(0.45, 0.7)), floor, rng)
    for _ in range(rng.randint(5, 9)):
        x = rng.choice((rng.uniform(-0.1, 0.12), rng.uniform(0.85, 1.05))) * width
        y = rng.uniform(0, height)
        w, h = width * rng.uniform(0.05, 0.22), width * rng.uniform(0.05, 0.27)
        tone = (rng.randint(50, 210), rng.randint(50, 210), rng.randint(50, 210))
        shape = draw.ellipse if rng.random() < 0.3 else draw.rectangle
        shape((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=tone, outline=scale(tone, 0.7))
    return scene.filter(ImageFilter.BoxBlur(width / 300))


def _tilted(thing: Image.Image, side: int, rng: random.Random) -> Image.Image:
    """Rotate a thing and view it from the side (a projective map of its four corners)."""
    if side < thing.width:
        thing = thing.resize((side, side), Image.Resampling.BOX)
    turned = thing.rotate(rng.uniform(-14, 14), Image.Resampling.BILINEAR)
    n = thing.width
    corners = [(0, 0), (n, 0), (n, n), (0, n)]
    seen = [
        (x + rng.uniform(-0.07, 0.07) * n, y + rng.uniform(-0.07, 0.07) * n) for x, y in corners
    ]
    rows, right = [], []
    for (u, v), (x, y) in zip(seen, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    map_ = [float(value) for value in np.linalg.solve(np.array(rows), np.array(right))]
    seen_from_aside = turned.transform(
        (n, n), Image.Transform.PERSPECTIVE, map_, Image.Resampling.BILINEAR
    )
    return seen_from_aside.resize((side, side), Image.Resampling.BILINEAR)


def _lit(scene: Image.Image, rng: random.Random) -> Image.Image:
    """Light a scene from one side, warm or cool, and add sensor noise."""
    noise = np.random.default_rng(rng.randrange(2**32))
    light = np.linspace(
        rng.uniform(0.75, 1.0), rng.uniform(0.9, 1.1), scene.width, dtype=np.float32
    )
    warmth = rng.uniform(-0.05, 0.07)
    tint = np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32) * rng.uniform(0.85, 1.08)
    grain = noise.normal(0, rng.uniform(2, 6), (scene.height // 2, scene.width // 2, 1))
    grain = grain.repeat(2, axis=0).repeat(2, axis=1)
    pixels = np.asarray(scene, dtype=np.float32) * light[None, :, None] * tint + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
