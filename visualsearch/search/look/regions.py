"""What a detector proposes and chooses, and the hits of several regions as one answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from visualsearch.search.look.boxes import Box, Boxes, overlaps
from visualsearch.types import FloatArray, Hit

BOOST = 0.03  # cosine that each further region in which a product is found is worth
SAME_THING = 0.3  # overlap above which two regions of one category are one
SAME_PLACE = 0.6  # overlap above which they are one whatever the categories


@dataclass(frozen=True, slots=True)
class Proposal:
    """A part of an image that may show a thing; who proposes may know what it is."""

    box: Box
    category: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of an image that shows a thing of a category, None if that is unknown.

    `score` is the detector's own: the similarity to the category's prompts of the built-in one, the
    confidence of a checkpoint.
    """

    box: Box
    category: str | None
    score: float
    vector: FloatArray  # of shape (dim,): the crop, to search by


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """An image the right way up, and its vector as a whole, of shape (dim,)."""

    image: Image.Image
    whole: FloatArray

    @property
    def aspect(self) -> float:
        """Return width / height."""
        return self.image.width / self.image.height


class Detector(Protocol):
    """Finds things in a photo in two steps, the model's work (embedding crops) between them."""

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return what it can find, and the words that describe each."""

    def propose(self, photo: Photo) -> list[Proposal]:
        """Return what may be things."""

    def choose(
        self, photo: Photo, /, proposals: Sequence[Proposal], vectors: FloatArray, most: int
    ) -> list[Region]:
        """Return at most `most` regions, best first, from proposals and their crops' vectors.

        `vectors` are unit rows of shape (proposals, dim). No two regions show the same thing.
        """


def suppress_overlaps(
    candidates: Iterable[tuple[int, str]], boxes: Boxes, most: int, per_category: int
) -> list[tuple[int, str]]:
    """Return the first `most` (box, category) that are not the thing of one before them.

    Non-maximum suppression: less overlap is allowed within a category than across. Of each
    category there are at most `per_category`.
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
    """Put products found in several regions further up in each region's list.

    Each further region is worth `BOOST`; the scores shown stay those of the images.
    """
    regions = Counter(hit.product_id for hits in lists for hit in hits)
    return [
        sorted(hits, key=lambda hit: (-_boosted_score(hit, regions), hit.product_id))
        for hits in lists
    ]


def merge_regions(lists: Sequence[Sequence[Hit]], top_k: int) -> list[Hit]:
    """Return the best products of all regions, each by its best region, boosted alike."""
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
