"""The sets of real photos that the lite encoder is trained and evaluated on.

The split is fixed: images with `held_out` are never trained on, nor is any of grocery.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of an image; None means unknown, not absent."""

    kind: str
    color: str | None = None
    pattern: str | None = None
    title: str | None = None
    category: str | None = None
    product: str = ""
    style: str = ""  # the same in every color
    view: str = ""
    held_out: bool = False


Picture = tuple[Labels, bytes]

CLOTHING_KINDS = {
    "dress": "dress", "hat": "hat", "longsleeve": "long-sleeve top", "outwear": "jacket",
    "pants": "trousers", "shirt": "shirt", "shoes": "shoe", "shorts": "shorts", "skirt": "skirt",
    "t-shirt": "t-shirt",
}  # fmt: skip
LUMA_KINDS = {
    "Pants": "trousers", "Hoodies & Sweatshirts": "hoodie", "Tees": "t-shirt", "Jackets": "jacket",
    "Shorts": "shorts", "Bras & Tanks": "tank top", "Tanks": "tank top", "Bags": "bag",
    "Watches": "watch", "Fitness Equipment": "fitness equipment",
}  # fmt: skip


def digest(key: str) -> int:
    """Return the number by which photos are split into training and held-out ones."""
    return int(hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest(), 16)


def luma(folder: Path) -> Iterator[Picture]:
    """Read the Luma shop's photos; styles with an odd digest are held out."""
    for row in _rows(folder / "catalog.jsonl"):
        facts = row["attributes"]
        style = facts.get("style_group", row["product_id"])
        for image in row["images"]:
            labels = Labels(
                kind=LUMA_KINDS[row["category"]],
                color=color_name(facts.get("color")),
                title=row["title"],
                category=row["category"],
                product=row["product_id"],
                style=style,
                view=image["image_id"],
                held_out=digest(style) % 2 == 1,
            )
            yield labels, (folder / image["path"]).read_bytes()


def clothing(folder: Path) -> Iterator[Picture]:
    """Read everyday clothing photos in category folders; a fifth is held out."""
    for path in sorted(folder.glob("*/*.jpg")):
        held_out = digest(path.name) % 10 >= 8
        kind = CLOTHING_KINDS[path.parent.name]
        yield Labels(kind, product=path.stem, held_out=held_out), path.read_bytes()


def grocery_shelf(folder: Path) -> Iterator[Picture]:
    """Read the catalog images of groceries, one each, all held out."""
    for row in _rows(folder / "catalog.jsonl"):
        labels = Labels(row["category"], product=row["product_id"], held_out=True)
        yield labels, (folder / row["images"][0]["path"]).read_bytes()


def grocery_photos(folder: Path) -> Iterator[Picture]:
    """Read the photos that shoppers took of groceries, all held out."""
    for row in _rows(folder / "queries.jsonl"):
        labels = Labels("", product=row["product_id"], held_out=True)
        yield labels, (folder / row["path"]).read_bytes()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)


def color_name(name: str | None) -> str | None:
    """Return a shop's color name in the spelling of COLORS."""
    if name is None:
        return None
    return {"gray": "grey", "lavender": "purple"}.get(name.lower(), name.lower())
