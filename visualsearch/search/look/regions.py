"""Region proposals of a detector, their suppression, and merging of the regions' hits."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from visualsearch.search.look.boxes import Box, Boxes, overlaps
from visualsearch.types import FloatArray, Hit

BOOST = 0.03  # added to a product's score for each further region that finds it
SAME_THING = 0.3  # IoU above which two regions of one category are the same
SAME_PLACE = 0.6  # IoU above which two regions of any categories are the same


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that may show a thing; category and score are None if the detector has none yet."""

    box: Box
    category: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A box that shows a thing; `category` is None if that is unknown.

    `score` is the detector's: cosine with the category's prompts, or a checkpoint's confidence.
    """

    box: Box
    category: str | None
    score: float
    vector: FloatArray  # the crop's, of shape (dim,)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """An upright image, and the vector of the whole image, of shape (dim,)."""

    image: Image.Image
    whole: FloatArray

    @property
    def aspect(self) -> float:
        """Return width / height."""
        return self.image.width / self.image.height


class Detector(Protocol):
    """Finds things in a photo in two steps; the caller embeds the crops in between."""

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return the categories that it can find, and the words that describe each."""

    def propose(self, photo: Photo) -> list[Proposal]:
        """Return region proposals."""

    def choose(
        self, photo: Photo, /, proposals: Sequence[Proposal], vectors: FloatArray, most: int
    ) -> list[Region]:
        """Return at most `most` regions, best first, from proposals and their crops' vectors.

        `vectors` are unit rows of shape (proposals, dim). No two regions show the same thing.
        """


def suppress_overlaps(
    candidates: Iterable[tuple[int, str]], boxes: Boxes, most: int, per_category: int
) -> list[tuple[int, str]]:
    """Return at most `most` (box index, category) after non-maximum suppression, in order.

    Less overlap is allowed within a category than across categories. At most `per_category` are
    kept of each category.
    """
    kept: list[tuple[int, str]] = []
    shared = overlaps(boxes, boxes)
    counts: Counter[str] = Counter()
    for place, category in candidates:
        if len(kept) == most:
            break
        if counts[category] < per_category and all(
            shared[place, other] <= (SAME_THING if category == name else SAME_PLACE)
            for other, name in kept
        ):
            kept.append((place, category))
            counts[category] += 1
    return kept


def boost_shared_products(lists: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
    """Rank products that several regions find higher in each region's list.

    Each further region adds `BOOST` for ranking; the scores of the hits are not changed.
    """
    regions = Counter(hit.product_id for hits in lists for hit in hits)
    return [
        sorted(hits, key=lambda hit: (-_boosted_score(hit, regions), hit.product_id))
        for hits in lists
    ]


def merge_regions(lists: Sequence[Sequence[Hit]], top_k: int) -> list[Hit]:
    """Return the `top_k` best products of all regions, by best score plus the same boost."""
    regions = Counter(hit.product_id for hits in lists for hit in hits)
    best: dict[str, Hit] = {}
    for hit in (hit for hits in lists for hit in hits):
        known = best.get(hit.product_id)
        if known is None or hit.score > known.score:
            best[hit.product_id] = hit
    return sorted(best.values(), key=lambda hit: (-_boosted_score(hit, regions), hit.product_id))[
        :top_k
    ]


def _boosted_score(hit: Hit, regions: Counter[str]) -> float:
    return hit.score + BOOST * (regions[hit.product_id] - 1)
