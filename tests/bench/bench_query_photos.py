"""What each way to preprocess a query's photo does to recall, and what it costs.

`python -m tests.bench.bench_query_photos FOLDER [ENCODER]`, where FOLDER has `grocery` (phone
photos, `queries.jsonl`) or `luma` (the later views of each product are the queries). The query is
each photo, its answer the product that it shows, by its best view, as in a search.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch import load_encoder
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.protocol import Encoder
from visualsearch.evaluation.sampling import estimate
from visualsearch.search.photos import (
    crops,
    equalize_lighting,
    remove_background,
    subject_by_grabcut,
)
from visualsearch.types import FloatArray

Views = Callable[[Image.Image], list[Image.Image]]
Case = tuple[list[bytes], list[str], list[bytes], list[str]]
STEP = 16  # images per call


def cut(image: Image.Image) -> Image.Image:
    """Take the background off as a worker without a model does."""
    return remove_background(image, subject_by_grabcut)


WAYS: dict[str, Views] = {
    "as it is": lambda image: [image],
    "lighting": lambda image: [equalize_lighting(image)],
    "background": lambda image: [cut(image)],
    "crops": crops,
    "lighting, crops": lambda image: crops(equalize_lighting(image)),
    "background, crops": lambda image: crops(cut(image)),
    "all": lambda image: crops(cut(equalize_lighting(image))),
}


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield what is there: gallery images and their products, queries and theirs."""
    for name in ("grocery", "luma"):
        root = folder / name
        if not (root / "catalog.jsonl").is_file():
            print(f"{root}: not there, left out", file=sys.stderr)
            continue
        pairs = [(row["product_id"], root / image["path"])
                 for row in lines(root / "catalog.jsonl") for image in row["images"]]  # fmt: skip
        firsts = dict(reversed(pairs))
        asked = [(name, path) for name, path in pairs if path != firsts[name]]
        if (root / "queries.jsonl").is_file():
            asked = [(row["product_id"], root / row["path"])
                     for row in lines(root / "queries.jsonl")]  # fmt: skip
        gallery = [path.read_bytes() for path in firsts.values()]
        queries = [path.read_bytes() for _, path in asked]
        yield name, (gallery, list(firsts), queries, [product for product, _ in asked])


def vectors(encoder: Encoder, pictures: Sequence[Image.Image | bytes]) -> FloatArray:
    """Embed, a few images at a time."""
    steps = range(0, len(pictures), STEP)
    return np.concatenate([encoder.encode_images(pictures[at : at + STEP]) for at in steps])


def ranks(
    encoder: Encoder, gallery: FloatArray, queries: Sequence[bytes], truth: Any, views: Views
) -> tuple[Any, float, float]:
    """Return each right product's rank from 0, CPU milliseconds and views embedded per photo."""
    found, spent, count = [], 0.0, 0
    for data, right in zip(queries, truth, strict=True):
        photo = decode_image(data)
        started = time.process_time()
        seen = views(photo)
        spent += time.process_time() - started
        count += len(seen)
        scores = (vectors(encoder, seen) @ gallery.T).max(axis=0)
        found.append(int((scores > scores[right]).sum()))
    return np.array(found), spent / len(queries) * 1000, count / len(queries)


def interval(values: Any) -> str:
    """Return a mean with its 95 % bootstrap interval."""
    found = estimate(values)
    return f"{found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f})"


def main(folder: str, name: str = "lite") -> None:
    """Print a table per data set: recall, and its gain over the photo as it is."""
    encoder = load_encoder(name)
    for title, (pictures, products, queries, answers) in cases(Path(folder)):
        gallery = vectors(encoder, pictures)
        truth = [products.index(answer) for answer in answers]
        print(f"\n{title}: {len(products)} products, {len(queries)} photos, {encoder.model_id}")
        print(
            "| preprocess | R@1 | gain | R@5 | gain | ms | views |\n|---|---|---|---|---|---|---|"
        )
        plain = None
        for way, views in WAYS.items():
            rank, ms, count = ranks(encoder, gallery, queries, truth, views)
            plain = rank if plain is None else plain
            cells = [cell for k in (1, 5) for cell in (
                f"{(rank < k).mean():.3f}",
                interval((rank < k).astype(float) - (plain < k)))]  # fmt: skip
            print(f"| {way} | {' | '.join(cells)} | {ms:.0f} | {count:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
