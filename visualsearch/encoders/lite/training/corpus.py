"""The images that the lite encoder learns from, as features with what is known about each.

Used by training only. Features are cached: the tower is by far the dearest step.
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.encoders import tower
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.lite import features as lite_features
from visualsearch.encoders.lite.features import Features
from visualsearch.encoders.lite.training.photos import Labels, Picture

Corpus = tuple[list[Labels], Features]
Look = Callable[[Image.Image, random.Random], Image.Image]
_BATCH = 64


def drawn(products: int, seed: int) -> Iterator[Picture]:
    """Draw products of all kinds, colors and patterns alike, two views of each.

    Every third product has a phone photo instead of its second view.
    """
    from visualsearch.datasets.drawn.catalog import draw_photo, draw_product
    from visualsearch.datasets.drawn.kinds import KINDS
    from visualsearch.datasets.drawn.palette import COLORS

    pairs = [(kind, color) for kind in KINDS for color in COLORS]
    order = np.random.default_rng(seed).permutation(len(pairs))
    for index in range(products):
        kind, color = pairs[order[index % len(pairs)]]
        item = draw_product(kind, color, f"corpus {seed}:{index}", f"{seed}-{index}")
        for image in item.images:
            data = image.data
            if image.kind == "lifestyle" and index % 3 == 0:
                data = draw_photo(kind, color, item.pattern, 1000 * seed + index, width=360)
            labels = Labels(kind, color, item.pattern, product=item.product_id, view=image.image_id)
            yield labels, data


def catalogue(products: int, seed: int) -> Iterator[Picture]:
    """Draw the demonstration's catalog: other seeds than those trained on."""
    from visualsearch.datasets.drawn import draw_catalog

    for item in draw_catalog(products, seed):
        for image in item.images:
            labels = Labels(item.kind, item.color, item.pattern, product=item.product_id,
                            view=image.image_id, held_out=True)  # fmt: skip
            yield labels, image.data


def featured(
    name: str, source: Iterable[Picture], cache: Path, net: tower.Tower, look: Look | None = None
) -> Corpus:
    """Return labels and features of a corpus, from the cache if it was seen before.

    `look` changes each image, by a chance that depends on `name` and its place alone.
    """
    path = cache / f"{name}.npz"
    if path.exists():
        stored = np.load(path)
        labels = [Labels(**row) for row in json.loads(str(stored["labels"]))]
        return labels, Features(**{key: stored[key] for key in Features.__slots__})
    labels, parts, batch = [], [], []
    for index, (label, data) in enumerate(source):
        labels.append(label)
        image = decode_image(data, max_side=640)
        batch.append(look(image, random.Random(f"{name}:{index}")) if look else image)
        if len(batch) == _BATCH:
            parts.append(lite_features.extract(net, batch))
            batch = []
            print(f"  {name}: {len(labels)} images seen", end="\r", flush=True)
    if batch:
        parts.append(lite_features.extract(net, batch))
    print(f"  {name}: {len(labels)} images seen", flush=True)
    features = joined(parts)
    arrays = {key: getattr(features, key) for key in Features.__slots__}
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(path, labels=np.array(json.dumps([asdict(row) for row in labels])), **arrays)
    return labels, features


def joined(parts: Sequence[Features]) -> Features:
    """Concatenate features row-wise."""
    keys = Features.__slots__
    return Features(**{k: np.concatenate([getattr(part, k) for part in parts]) for k in keys})


def chosen(features: Features, rows: Sequence[int] | npt.NDArray[np.intp]) -> Features:
    """Take some rows."""
    return Features(**{key: getattr(features, key)[rows] for key in Features.__slots__})


def part(corpus: Corpus, *, held_out: bool) -> Corpus:
    """Take the images that are held out, or the others."""
    labels, features = corpus
    rows = [i for i, row in enumerate(labels) if row.held_out == held_out]
    return [labels[i] for i in rows], chosen(features, rows)
