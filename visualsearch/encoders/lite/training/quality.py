"""Measure the shipped lite encoder: `python -m visualsearch.encoders.lite.training.quality PHOTOS`.

PHOTOS holds `luma/`, `clothing/` and `grocery/`. Prints each figure with its 95 % interval beside
the bar that it must reach (two minutes on two cores); `--json` for machines.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visualsearch.encoders import load_encoder
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.lite.training import measures, photos
from visualsearch.encoders.lite.training.measures import Scores, Shown
from visualsearch.encoders.lite.training.photos import Picture
from visualsearch.encoders.protocol import Encoder
from visualsearch.evaluation.sampling import estimate
from visualsearch.search.photos import crops
from visualsearch.types import FloatArray

BARS = {
    "clothing: category named": 0.85,
    "clothing: category precision@10": 0.80,
    "grocery: phone photo, first": 0.50,
    "grocery: phone photo, top 5": 0.80,
    "luma: back view, top 3": 0.85,
    "luma: any view, top 3": 0.68,
    "luma: color + kind, kind": 0.85,
    "luma: color + kind, color": 0.80,
    "luma: color + kind, both": 0.68,
    "luma: in another color, first": 0.70,
    "luma: in another color, top 5": 0.90,
}
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries, its 95 % interval, and the bar that the mean must reach."""

    name: str
    mean: float
    low: float
    high: float
    queries: int
    bar: float

    @property
    def passed(self) -> bool:
        """Return whether the mean reaches the bar."""
        return self.mean >= self.bar


def measured(encoder: Encoder, folder: Path) -> list[Figure]:
    """Encode the photos of a folder and measure everything that has a bar."""
    everyday = _shown(encoder, photos.clothing(folder / "clothing"))
    shop = _shown(encoder, photos.luma(folder / "luma"))
    scores = measures.everyday(everyday, encoder.encode_texts)
    scores |= _groceries(encoder, folder / "grocery")
    scores |= measures.other_views(shop)
    scores |= measures.colored_kinds(shop, encoder.encode_texts)
    scores |= measures.in_color(shop, encoder.encode_texts, encoder.default_alpha)
    return figures(scores)


def figures(scores: Scores) -> list[Figure]:
    """Return means with their intervals beside the bars."""
    rows = []
    for name, bar in BARS.items():
        found = estimate(scores[name])
        rows.append(Figure(name, found.mean, found.low, found.high, found.queries, bar))
    return rows


def table(rows: Iterable[Figure]) -> str:
    """Lay figures out for reading, those below their bar marked."""
    lines = [f"{'':34}{'mean':>6}  {'95 % interval':14}{'bar':>5}{'queries':>9}"]
    for row in rows:
        interval = f"{row.low:.3f} - {row.high:.3f}"
        lines.append(
            f"{row.name:34}{row.mean:6.3f}  {interval:14}{row.bar:5.2f}{row.queries:9}"
            + ("" if row.passed else "  BELOW")
        )
    return "\n".join(lines)


def _shown(encoder: Encoder, pictures: Iterable[Picture]) -> Shown:
    labels, data = zip(*pictures, strict=True)
    return Shown(labels, _encoded(encoder, data))


def _encoded(encoder: Encoder, data: Sequence[Image.Image | bytes]) -> FloatArray:
    """Encode in batches, so that only one batch is decoded at a time."""
    starts = range(0, len(data), _BATCH)
    return np.concatenate([encoder.encode_images(data[start : start + _BATCH]) for start in starts])


def _groceries(encoder: Encoder, folder: Path) -> Scores:
    shelf = _shown(encoder, photos.grocery_shelf(folder))
    labels, data = zip(*photos.grocery_photos(folder), strict=True)
    looks = zip(*(crops(decode_image(photo)) for photo in data), strict=True)
    names = np.array([row.product for row in labels])
    return measures.phone_photos(shelf, names, [_encoded(encoder, look) for look in looks])


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder that holds luma/, clothing/ and grocery/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    encoder = load_encoder("lite")
    rows = measured(encoder, options.photos)
    if options.json:
        print(json.dumps({"model": encoder.model_id, "figures": [asdict(row) for row in rows]}))
    else:
        print(f"{encoder.model_id}, {encoder.dim} dimensions\n{table(rows)}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
