"""What collapse, MMR and alignment do to answers, and what they cost in relevance.

`python -m tests.bench.bench_variety FOLDER [ENCODER]`, where FOLDER has `luma` (its style groups
are taken from the products and used as truth only) and `grocery` (phone photos of products with
one catalog image each).
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.hits import hit_of
from visualsearch import load_encoder
from visualsearch.encoders.protocol import Encoder
from visualsearch.evaluation.sampling import estimate
from visualsearch.search.align import remove_photo_mean
from visualsearch.search.duplicates import STYLE_ATTRIBUTES, group_duplicates
from visualsearch.search.mmr import mmr
from visualsearch.search.varied import LEAST_POOL
from visualsearch.types import BaseRecord, FloatArray, Hit

TOP = 10
Rows = list[dict[str, Any]]
Relevance = npt.NDArray[np.float64]


def lines(path: Path) -> Rows:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def embedded(encoder: Encoder, paths: list[Path]) -> FloatArray:
    """Return a unit row for each image, eight a call."""
    calls = [paths[start : start + 8] for start in range(0, len(paths), 8)]
    rows = [encoder.encode_images([path.read_bytes() for path in call]) for call in calls]
    return np.concatenate(rows)


def ndcg(gains: Relevance, every: Relevance) -> float:
    """Return the discounted gain of a list against that of the best one of its length."""
    discount = 1 / np.log2(np.arange(len(gains)) + 2)
    best = np.sort(every)[::-1][: len(gains)]
    return float((gains * discount).sum() / max((best * discount).sum(), 1e-9))


def variety(encoder: Encoder, folder: Path) -> None:
    """Print luma's figures: pairs, groups, and MMR by the image of each product."""
    rows = lines(folder / "catalog.jsonl")
    shown = embedded(encoder, [folder / row["images"][0]["path"] for row in rows])
    truth = np.array([row["attributes"].get("style_group", row["product_id"]) for row in rows])
    kinds = np.array([row["category"] for row in rows])
    hits = [_hit(row) for row in rows]
    groups = group_duplicates(hits, shown, len(hits))
    group_of = np.empty(len(rows), dtype=np.int64)
    for number, group in enumerate(groups):
        group_of[group] = number
    one, other = np.triu_indices(len(rows), 1)
    said, true = group_of[one] == group_of[other], truth[one] == truth[other]
    print(f"{len(rows)} products of {len(set(truth))} styles, {len(groups)} groups; pairs: "
          f"precision {true[said].mean():.3f}, recall {said[true].mean():.3f}")  # fmt: skip
    print("| diversity | NDCG@10 | intra-list diversity | styles of 10 |\n|---|---|---|---|")
    similarity = shown @ shown.T
    for diversity in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        found = [_figures(n, similarity, shown, kinds, truth, diversity) for n in range(len(rows))]
        relevance, differ, styles = np.mean(found, axis=0)
        print(f"| {diversity} | {relevance:.3f} | {differ:.3f} | {styles:.1f} |")


def _figures(
    asked: int, similarity: FloatArray, shown: FloatArray, kinds: Any, truth: Any, diversity: float
) -> tuple[float, float, float]:
    scores = similarity[asked].copy()
    scores[asked] = -9.0
    order = np.argsort(-scores)[:LEAST_POOL]
    chosen = order[mmr(scores[order], shown[order], TOP, diversity)]
    pairs = similarity[np.ix_(chosen, chosen)][np.triu_indices(TOP, 1)]
    relevant = (kinds == kinds[asked]).astype(np.float64)
    gain = ndcg(relevant[chosen], np.delete(relevant, asked))
    return gain, float(1 - pairs.mean()), len(set(truth[chosen]))


def _hit(row: dict[str, Any]) -> Hit:
    attributes = {k: v for k, v in row["attributes"].items() if k not in STYLE_ATTRIBUTES}
    base = BaseRecord(
        row["product_id"], (0, 0, 0), title=row["title"], brand=row["brand"], attributes=attributes
    )
    return hit_of(0.0, base)


def alignment(encoder: Encoder, folder: Path) -> None:
    """Print grocery's figures; the mean is that of the other half of the photos."""
    rows, asked = lines(folder / "catalog.jsonl"), lines(folder / "queries.jsonl")
    catalogue = embedded(encoder, [folder / row["images"][0]["path"] for row in rows])
    photos = embedded(encoder, [folder / row["path"] for row in asked])
    names = [row["product_id"] for row in rows]
    wanted = np.array([names.index(row["product_id"]) for row in asked])
    moved = photos.copy()
    half = np.random.default_rng(0).permutation(len(photos))
    for one, other in ((half[::2], half[1::2]), (half[1::2], half[::2])):
        moved[other] = remove_photo_mean(photos[other], photos[one].mean(axis=0))
    plain, better = (_ranks(each @ catalogue.T, wanted) for each in (photos, moved))
    for top in (1, 5):
        before, after = (plain < top).astype(float), (better < top).astype(float)
        gain = estimate(after - before)
        print(f"grocery, top {top}: {before.mean():.3f} as it is, {after.mean():.3f} aligned "
              f"({gain.low:+.3f} to {gain.high:+.3f})")  # fmt: skip


def _ranks(scores: FloatArray, wanted: Any) -> npt.NDArray[np.int64]:
    own = scores[np.arange(len(wanted)), wanted]
    ranks: npt.NDArray[np.int64] = (scores > own[:, None]).sum(axis=1)
    return ranks


if __name__ == "__main__":
    chosen = load_encoder(sys.argv[2] if len(sys.argv) > 2 else "lite")
    variety(chosen, Path(sys.argv[1]) / "luma")
    alignment(chosen, Path(sys.argv[1]) / "grocery")
