"""The pictures that the lite encoder learns from, with what is known about each.

Used by training only. Features are cached: the tower is by far the dearest step.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visualsearch.encoders import lite_features, tower
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.lite_features import Features


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known about a picture; None is unknown, as opposed to absent."""

    kind: str
    color: str | None = None
    pattern: str | None = None
    title: str | None = None
    category: str | None = None
    product: str = ""
    view: str = ""
    held_out: bool = False


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


def drawn(products: int, seed: int, *, photos: bool = False) -> Iterator[tuple[Labels, bytes]]:
    """Draw products of all kinds, colours and patterns alike, two views of each.

    With `photos` every third product has a phone photo instead of its second view.
    """
    from visualsearch.drawings.catalogue import draw_photo, draw_product
    from visualsearch.drawings.kinds import KINDS
    from visualsearch.drawings.palette import COLORS

    pairs = [(kind, color) for kind in KINDS for color in COLORS]
    order = np.random.default_rng(seed).permutation(len(pairs))
    for index in range(products):
        kind, color = pairs[order[index % len(pairs)]]
        item = draw_product(kind, color, f"corpus {seed}:{index}", f"{seed}-{index}")
        for image in item.images:
            data = image.data
            if photos and image.kind == "lifestyle" and index % 3 == 0:
                data = draw_photo(kind, color, item.pattern, 1000 * seed + index, width=360)
            labels = Labels(kind, color, item.pattern, product=item.product_id, view=image.image_id)
            yield labels, data


def luma(folder: Path) -> Iterator[tuple[Labels, bytes]]:
    """Read the Luma shop's photos; styles with an odd digest are held out."""
    for line in (folder / "catalog.jsonl").read_text().splitlines():
        row = json.loads(line)
        facts = row.get("attributes", {})
        group = facts.get("style_group", row["product_id"])
        for image in row["images"]:
            labels = Labels(
                kind=LUMA_KINDS[row["category"]],
                color=_color(facts.get("color")),
                title=row["title"],
                category=row["category"],
                product=row["product_id"],
                view=image["image_id"],
                held_out=digest(group) % 2 == 1,
            )
            yield labels, (folder / image["path"]).read_bytes()


def clothing(folder: Path) -> Iterator[tuple[Labels, bytes]]:
    """Read everyday clothing photos in category folders; a fifth is held out."""
    for path in sorted(folder.glob("*/*.jpg")):
        held_out = digest(path.name) % 10 >= 8
        kind = CLOTHING_KINDS[path.parent.name]
        yield Labels(kind, product=path.stem, held_out=held_out), path.read_bytes()


def _color(name: str | None) -> str | None:
    if name is None:
        return None
    return {"gray": "grey", "lavender": "purple"}.get(name.lower(), name.lower())


def featured(
    name: str, source: Iterable[tuple[Labels, bytes]], cache: Path, net: tower.Tower
) -> tuple[list[Labels], Features]:
    """Return labels and features of a corpus, from the cache if it was seen before."""
    path = cache / f"{name}.npz"
    if path.exists():
        stored = np.load(path)
        labels = [Labels(**row) for row in json.loads(str(stored["labels"]))]
        return labels, Features(**{key: stored[key] for key in Features.__slots__})
    cache.mkdir(parents=True, exist_ok=True)
    labels, parts, batch = [], [], []
    for label, data in source:
        labels.append(label)
        batch.append(decode_image(data, max_side=640))
        if len(batch) == 64:
            parts.append(lite_features.extract(net, batch))
            batch = []
            print(f"  {name}: {len(labels)} pictures seen", end="\r", flush=True)
    if batch:
        parts.append(lite_features.extract(net, batch))
    print(f"  {name}: {len(labels)} pictures seen", flush=True)
    features = joined(parts)
    rows = json.dumps([{key: getattr(row, key) for key in Labels.__slots__} for row in labels])
    arrays = {key: getattr(features, key) for key in Features.__slots__}
    np.savez(path, labels=np.array(rows), **arrays)
    return labels, features


def joined(parts: Sequence[Features]) -> Features:
    """Concatenate features row-wise."""
    keys = Features.__slots__
    return Features(**{k: np.concatenate([getattr(part, k) for part in parts]) for k in keys})


def chosen(features: Features, rows: Sequence[int] | np.ndarray) -> Features:
    """Take some rows."""
    return Features(**{key: getattr(features, key)[rows] for key in Features.__slots__})


def picture(data: bytes) -> Image.Image:
    """Decode as the encoder does."""
    return decode_image(data, max_side=640)


def catalogue(products: int, seed: int) -> Iterator[tuple[Labels, bytes]]:
    """Draw the demonstration's catalogue: other seeds than those trained on."""
    from visualsearch.drawings import draw_catalogue

    for item in draw_catalogue(products, seed):
        for image in item.images:
            labels = Labels(item.kind, item.color, item.pattern, product=item.product_id,
                            view=image.image_id, held_out=True)  # fmt: skip
            yield labels, image.data
