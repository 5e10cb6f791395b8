"""Other looks at an image: nearer, or as another photographer might have taken it."""

import random
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageFilter

_SMALLEST = 0.45  # of the area that a varied image keeps
_ENHANCERS: tuple[tuple[Callable[[Image.Image], ImageEnhance._Enhance], float], ...] = (
    (ImageEnhance.Brightness, 0.3), (ImageEnhance.Contrast, 0.25), (ImageEnhance.Color, 0.25)
)  # fmt: skip


def centre(image: Image.Image, share: float) -> Image.Image:
    """Cut out the middle of an image, `share` of each side."""
    left, top = round(image.width * (1 - share) / 2), round(image.height * (1 - share) / 2)
    return image.crop((left, top, image.width - left, image.height - top))


def varied(image: Image.Image, rng: random.Random) -> Image.Image:
    """Crop, mirror, tilt, light and blur an RGB image by chance; what it shows stays."""
    image = _cropped(image, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.4:
        ground = image.getpixel((0, 0))
        image = image.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC, fillcolor=ground)
    for enhancer, most in _ENHANCERS:
        if rng.random() < 0.6:
            image = enhancer(image).enhance(1 + rng.uniform(-most, min(most, 0.25)))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
    return _tinted(image, rng) if rng.random() < 0.3 else image


def _cropped(image: Image.Image, rng: random.Random) -> Image.Image:
    """Take 45 % of the area or more, its shape a little changed."""
    side, shape = rng.uniform(_SMALLEST, 1) ** 0.5, rng.uniform(0.85, 1.18) ** 0.5
    width, height = min(1, side * shape) * image.width, min(1, side / shape) * image.height
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    return image.crop((int(left), int(top), int(left + width), int(top + height)))


def _tinted(image: Image.Image, rng: random.Random) -> Image.Image:
    """Change the light's color, each channel by 12 % at most."""
    table: list[float] = []
    for _ in range(3):
        gain = rng.uniform(0.88, 1.12)
        table += [min(255, value * gain) for value in range(256)]
    return image.point([round(value) for value in table])
