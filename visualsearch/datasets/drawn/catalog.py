"""A shop's catalog of drawn products, the same every time for one seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from visualsearch.datasets.drawn.kinds import KINDS
from visualsearch.datasets.drawn.palette import COLORS
from visualsearch.datasets.drawn.scenes import catalog_view, jpeg, lifestyle_view, photo_view
from visualsearch.datasets.drawn.sketch import Sketch

BRANDS = ("Nordwind", "Casa Lume", "Atelier Mira", "Fjell & Sons", "Porto Azul", "Halden", "Quill")


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """One JPEG of a product, 320 x 320 pixels."""

    image_id: str
    kind: Literal["catalog", "lifestyle"]
    data: bytes


@dataclass(frozen=True, slots=True)
class DrawnProduct:
    """A product as a catalog knows it, with its images and their ground truth."""

    product_id: str
    title: str
    description: str
    kind: str
    category: str
    color: str
    pattern: str
    brand: str
    price: float
    currency: str
    in_stock: bool
    tags: tuple[str, ...]
    attributes: Mapping[str, str]
    images: tuple[DrawnImage, ...]


def draw_thing(kind: str, color: str, pattern: str, rng: random.Random) -> Image.Image:
    """Draw one thing on a transparent square of 640 pixels (RGBA)."""
    sketch = Sketch(color, pattern, rng)
    KINDS[kind].draw(sketch)
    return sketch.image


def draw_photo(kind: str, color: str, pattern: str, seed: int, width: int = 1200) -> bytes:
    """Take a phone photo of a thing that is in no catalog: a JPEG with EXIF orientation 6."""
    rng = random.Random(f"photo:{seed}:{kind}:{color}:{pattern}")
    return photo_view(draw_thing(kind, color, pattern, rng), rng, width)


def draw_catalog(n: int = 640, seed: int = 7) -> Iterator[DrawnProduct]:
    """Yield n products, kinds in turn; each kind has two main colors and a few others.

    Of 640 products a kind has 32: 11 in each main color, so that a search for
    "<main color> <kind>" has at least ten right answers, and 10 in other colors.
    """
    for index in range(n):
        kind = list(KINDS)[index % len(KINDS)]
        color = _color(index, seed)
        yield draw_product(kind, color, f"{seed}:{index}", f"{kind}-{seed}-{index:05d}")


def main_colors(kind: str, seed: int = 7) -> tuple[str, str]:
    """Return the two colors of which a drawn catalog holds most of a kind's products."""
    first, second = random.Random(f"{seed}:{kind}").sample(list(COLORS), 2)
    return first, second


def word_queries(n: int = 640, seed: int = 7) -> list[tuple[str, str, str]]:
    """Return (text, kind, color) of all "<color> <kind>" searches with ten or more answers."""
    held: dict[tuple[str, str], int] = {}
    kinds = list(KINDS)
    for index in range(n):
        pair = (kinds[index % len(kinds)], _color(index, seed))
        held[pair] = held.get(pair, 0) + 1
    return [
        (f"{color} {kind}", kind, color) for (kind, color), count in held.items() if count >= 10
    ]


def _color(index: int, seed: int) -> str:
    """Choose the color of a product: of three in turn, the two main ones and another."""
    kind = list(KINDS)[index % len(KINDS)]
    turn = index // len(KINDS)
    main = main_colors(kind, seed)
    if turn % 3 < 2:
        return main[turn % 3]
    others = [color for color in COLORS if color not in main]
    return others[random.Random(f"{seed}:{kind}:{turn}").randrange(len(others))]


def draw_product(kind: str, color: str, seed: str, product_id: str) -> DrawnProduct:
    """Draw one product; the seed determines all but its kind and color."""
    rng = random.Random(f"{seed}:{kind}:{color}")
    facts = KINDS[kind]
    pattern = rng.choice(facts.patterns) if rng.random() < 0.6 else "plain"
    material = rng.choice(facts.materials)
    brand = rng.choice(BRANDS)
    thing = draw_thing(kind, color, pattern, rng)
    looks = f"{color} {pattern} {kind}" if pattern != "plain" else f"{color} {kind}"
    images = (
        DrawnImage("front", "catalog", jpeg(catalog_view(thing, rng))),
        DrawnImage("scene", "lifestyle", jpeg(lifestyle_view(thing, kind, rng))),
    )
    low, high = facts.price
    return DrawnProduct(
        product_id=product_id,
        title=looks.title(),
        description=f"A {looks} of {material} by {brand}.",
        kind=kind,
        category=facts.category,
        color=color,
        pattern=pattern,
        brand=brand,
        price=round(rng.uniform(low, high)) - 0.05,
        currency="EUR",
        in_stock=rng.random() < 0.85,
        tags=facts.tags,
        attributes={"color": color, "pattern": pattern, "material": material},
        images=images,
    )
