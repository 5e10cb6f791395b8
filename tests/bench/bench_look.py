"""What the built-in detector finds of the garments in street photos, and what it costs.

`python -m tests.bench.bench_look FOLDER [--half tune|report] [--step N] [--encoder NAME]`, where
FOLDER has `street` (`boxes.jsonl`). Garments are those at least 15 % of the photo's height; one is
found if a region of its category overlaps it by 0.4 (IoU). Beside it: the same windows by words
alone and by their places alone, without looking; eight fixed overlapping crops, each named by the
same words; and boxes that are given, of which only the category is asked.
`--half tune` is what the places in `categories.json` were taken from (even photos).
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch import load_encoder
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.protocol import Encoder
from visualsearch.search.look.boxes import Box, crop, overlaps
from visualsearch.search.look.notebook import crops_of
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Photo, Proposal, Region
from visualsearch.search.look.taxonomy import read_look_categories
from visualsearch.search.photos import remove_background, subject_by_grabcut

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


class Ways:
    """The ways to find regions, and to name given boxes; the crops are embedded once."""

    def __init__(self, encoder: Encoder) -> None:
        taxonomy = read_look_categories()
        texts = encoder.encode_texts(prompts_of(taxonomy))
        self._encoder = encoder
        self.detector = PromptDetector(taxonomy, texts)
        self._words = PromptDetector(taxonomy, texts, place=0.0)
        blind = replace(taxonomy, background=())
        self._places = PromptDetector(blind, texts[: len(prompts_of(blind))], place=1e6)

    def found(self, photo: Photo) -> Iterator[tuple[str, float, Sequence[Region]]]:
        """Give each way's name, the CPU seconds that it took and its regions."""
        started = time.process_time()
        proposals = self.detector.propose(photo)
        vectors = crops_of(photo, proposals, self._encoder)
        regions = self.detector.choose(photo, proposals, vectors, MOST)
        yield "built in", time.process_time() - started, regions
        yield "words alone", 0.0, self._words.choose(photo, proposals, vectors, MOST)
        yield "places alone", 0.0, self._places.choose(photo, proposals, vectors, MOST)
        started = time.process_time()
        fixed = [Proposal(box) for box in NAIVE]
        regions = self._words.name(photo, fixed, crops_of(photo, fixed, self._encoder))
        yield "eight crops", time.process_time() - started, regions

    def named(
        self, photo: Photo, garments: Garments
    ) -> Iterator[tuple[str, float, Sequence[Region]]]:
        """Give the same for boxes that the app gives, as they are and with their ground off."""
        given = [Proposal(box) for _, box in garments]
        started = time.process_time()
        regions = self.detector.name(photo, given, crops_of(photo, given, self._encoder))
        yield "boxes given", time.process_time() - started, regions
        started = time.process_time()
        crops = [
            remove_background(crop(photo.image, box), subject_by_grabcut) for _, box in garments
        ]
        regions = self.detector.name(photo, given, self._encoder.encode_images(crops))
        yield "boxes given, ground off", time.process_time() - started, regions


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=["tune", "report"], default="report")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--encoder", default="lite")
    chosen = parser.parse_args()
    encoder = load_encoder(chosen.encoder)
    ways = Ways(encoder)
    there, regions, seconds = Counter[str](), Counter[str](), Counter[str]()
    hits: dict[str, Counter[str]] = defaultdict(Counter)
    every = photos(chosen.folder / "street", chosen.half, chosen.step)
    for data, garments in every:
        image = decode_image(data)
        photo = Photo(image, encoder.encode_images([image])[0])
        there.update(category for category, _ in garments)
        for way, spent, found in ways.found(photo):
            seconds[way] += spent  # type: ignore[assignment]  # a Counter adds floats as well
            regions[way] += len(found)
            for (category, _), hit in zip(garments, found_of(garments, found), strict=True):
                hits[way][category] += hit
        for way, spent, named in ways.named(photo, garments) if garments else ():
            seconds[way] += spent  # type: ignore[assignment]
            regions[way] += len(named)
            for (category, _), region in zip(garments, named, strict=True):
                hits[way][category] += category == region.category
    print(f"{len(every)} photos, {there.total()} garments, {encoder.model_id}")
    names = sorted(there)
    print("| way | all | " + " | ".join(names) + " | regions | CPU s a photo |")
    print("|---" * (len(names) + 4) + "|")
    for way, counts in hits.items():
        cells = [f"{counts[name]}/{there[name]}" for name in names]
        cells.append(f"{regions[way] / len(every):.1f}")
        cells.append(f"{seconds[way] / len(every):.2f}")
        print(f"| {way} | {counts.total() / there.total():.3f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
