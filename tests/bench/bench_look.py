"""What the built-in detector finds of the garments in street photos, and what it costs.

`python -m tests.bench.bench_look FOLDER [--half tune|report] [--step N] [--encoder NAME]`, where
FOLDER has `street` (`boxes.jsonl`). Garments are those at least 15 % of the photo's height; one is
found if a region of its category overlaps it by 0.4 (IoU). Beside it: eight fixed overlapping
crops, each named by the same prompts, and the same windows by their places alone, without looking.
`--half tune` is what the places in `categories.json` were taken from (even photos).
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch import load_encoder
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.protocol import Encoder
from visualsearch.search.look import prompts
from visualsearch.search.look.boxes import Box, crop, overlaps
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Photo, Proposal, Region
from visualsearch.search.look.taxonomy import read_taxonomy
from visualsearch.types import FloatArray

LEAST, FOUND, MOST = 0.15, 0.4, 8
LABELS = {
    "shoes": "shoes", "boots": "shoes", "heels": "shoes", "pumps": "shoes", "loafers": "shoes",
    "sandals": "shoes", "wedges": "shoes", "flats": "shoes", "sneakers": "shoes",
    "bag": "bag", "purse": "bag", "dress": "dress", "skirt": "skirt", "pants": "pants",
    "jeans": "pants", "coat": "coat", "jacket": "coat", "blazer": "coat",
    "shirt": "shirt", "blouse": "shirt",
}  # fmt: skip
NAIVE: tuple[Box, ...] = (
    (0, 0, 1, 0.5), (0, 0.25, 1, 0.75), (0, 0.5, 1, 1), (0, 0, 0.6, 0.6), (0.4, 0, 1, 0.6),
    (0, 0.4, 0.6, 1), (0.4, 0.4, 1, 1), (0.2, 0.2, 0.8, 0.8),
)  # fmt: skip
Garments = list[tuple[str, Box]]
Way = Callable[[Photo], Sequence[Region]]


def photos(folder: Path, half: str, step: int) -> list[tuple[bytes, Garments]]:
    """Return every `step`-th photo of a half, and its garments that are large enough."""
    lines = [json.loads(line) for line in (folder / "boxes.jsonl").read_text().splitlines()]
    chosen = lines[0 if half == "tune" else 1 :: 2][::step]
    return [((folder / line["path"]).read_bytes(), _garments(line)) for line in chosen]


def _garments(line: dict[str, Any]) -> Garments:
    width, height = line["width"], line["height"]
    found: Garments = []
    for each in line["boxes"]:
        left, top, right, bottom = each["box"]
        if each["label"] in LABELS and bottom - top >= LEAST * height:
            box = (left / width, top / height, right / width, bottom / height)
            found.append((LABELS[each["label"]], box))
    return found


def found_of(garments: Garments, regions: Sequence[Region]) -> list[bool]:
    """Say of each garment whether a region of its category is where it is."""
    boxes = np.array([region.box for region in regions]).reshape(-1, 4)
    return [
        any(
            region.category == category and overlap >= FOUND
            for region, overlap in zip(
                regions, overlaps(boxes, np.array([box]))[:, 0].tolist(), strict=True
            )
        )
        for category, box in garments
    ]


def ways_of(encoder: Encoder) -> dict[str, Way]:
    """Return the ways to find regions."""
    taxonomy = read_taxonomy()
    detector = PromptDetector(taxonomy, encoder.encode_texts(prompts_of(taxonomy)))

    def crops(photo: Photo, boxes: Sequence[Box]) -> FloatArray:
        return encoder.encode_images([crop(photo.image, box) for box in boxes])

    def built_in(photo: Photo) -> Sequence[Region]:
        proposals = detector.propose(photo)
        vectors = crops(photo, [proposal.box for proposal in proposals])
        return detector.choose(photo, proposals, vectors, MOST)

    def naive(photo: Photo) -> Sequence[Region]:
        vectors = crops(photo, NAIVE)
        likeness = detector._likeness(vectors, detector.scene(photo).categories)
        names = [category.name for category in detector.scene(photo).categories]
        best = likeness.argmax(axis=1).tolist()
        return [Region(b, names[n], 0.0, v) for b, n, v in zip(NAIVE, best, vectors, strict=True)]

    def places(photo: Photo) -> Sequence[Region]:
        proposals = detector.propose(photo)
        blind = np.random.default_rng(0).normal(size=(len(proposals), encoder.dim))
        kept = prompts.SPREAD, detector._background
        prompts.SPREAD = 1e-9
        detector._background = lambda vectors: np.full(len(vectors), -np.inf)  # type: ignore[method-assign]
        try:
            return detector.choose(photo, proposals, blind.astype(np.float32), MOST)
        finally:
            prompts.SPREAD, detector._background = kept  # type: ignore[method-assign]

    return {"built in": built_in, "eight crops": naive, "places alone": places}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=["tune", "report"], default="report")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--encoder", default="lite")
    chosen = parser.parse_args()
    encoder = load_encoder(chosen.encoder)
    ways = ways_of(encoder)
    taxonomy = read_taxonomy()
    namer = PromptDetector(taxonomy, encoder.encode_texts(prompts_of(taxonomy)))
    there: Counter[str] = Counter()
    hits = {way: Counter[str]() for way in (*ways, "boxes given")}
    spent = dict.fromkeys(hits, 0.0)
    regions = Counter[str]()
    windows = outfits = 0
    every = photos(chosen.folder / "street", chosen.half, chosen.step)
    for data, garments in every:
        image = decode_image(data)
        photo = Photo(image, encoder.encode_images([image])[0])
        outfits += namer.scene(photo).name == "outfit"
        windows += len(namer.propose(photo))
        there.update(category for category, _ in garments)
        for way, find in ways.items():
            started = time.process_time()
            found = find(photo)
            spent[way] += time.process_time() - started
            regions[way] += len(found)
            for (category, _), hit in zip(garments, found_of(garments, found), strict=True):
                hits[way][category] += hit
        if garments:
            started = time.process_time()
            vectors = encoder.encode_images([crop(image, box) for _, box in garments])
            proposals = [Proposal(box) for _, box in garments]
            named = namer.name(photo, proposals, vectors)
            spent["boxes given"] += time.process_time() - started
            regions["boxes given"] += len(named)
            for (category, _), region in zip(garments, named, strict=True):
                hits["boxes given"][category] += category == region.category
    print(f"{len(every)} photos, {there.total()} garments; {outfits} taken for outfits; "
          f"{windows / len(every):.0f} windows a photo; {encoder.model_id}")  # fmt: skip
    names = sorted(there)
    print("| way | all | " + " | ".join(names) + " | regions | CPU s a photo |")
    print("|---" * (len(names) + 4) + "|")
    for way, counts in hits.items():
        cells = [f"{counts[name]}/{there[name]}" for name in names]
        cells.append(f"{regions[way] / len(every):.1f}")
        cells.append(f"{spent[way] / len(every):.2f}")
        print(f"| {way} | {counts.total() / there.total():.3f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
