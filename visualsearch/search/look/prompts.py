"""The built-in detector: windows of several sizes, told apart by the encoder's own words."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.search.look.boxes import Box, Boxes, overlaps, windows
from visualsearch.search.look.regions import Photo, Proposal, Region, suppress_overlaps
from visualsearch.search.look.taxonomy import Category, Scene, Taxonomy
from visualsearch.types import FloatArray

Similarity = npt.NDArray[np.float64]

PLACE = 0.1  # measured: from 0.06 to 0.2 hardly anything changes
SPREAD = 0.05  # standard deviation that each category's similarities are brought to
UNLIKELY = -3.0  # log-likelihood below which a window can show none of the scene's things
PACKED = 0.55  # overlap of windows of which one is enough
PER_CATEGORY = 2  # regions: two bags, rarely more
MOST_WINDOWS = 64


class PromptDetector:
    """Needs no weights beside the encoder's: categories are words, places are statistics.

    `texts` are the unit vectors of `prompts_of(taxonomy)`, in their order, shape (prompts, dim);
    `place` is what a unit of a place's log-likelihood is worth in cosines.
    """

    def __init__(self, taxonomy: Taxonomy, texts: FloatArray, *, place: float = PLACE) -> None:
        self._taxonomy = taxonomy
        self._place = place
        self._texts = dict(zip(prompts_of(taxonomy), texts, strict=True))

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return each category's prompts, and what else a catalog may call it."""
        every = (each for scene in self._taxonomy.scenes for each in scene.categories)
        return {category.name: (*category.prompts, *category.aliases) for category in every}

    def scene(self, photo: Photo) -> Scene:
        """Return the scene of whose things the photo as a whole speaks most."""

        def similarity(scene: Scene) -> float:
            return float(self._similarity(photo.whole[None], scene.categories).max())

        return max(self._taxonomy.scenes, key=similarity)

    def propose(self, photo: Photo) -> list[Proposal]:
        """Return the windows of the photo's scene; where places are known, the likely ones."""
        scene = self.scene(photo)
        boxes = windows(photo.aspect, scene.shapes)
        likely = _likely(scene, boxes, photo.aspect).max(axis=1)
        kept: list[int] = []
        shared = overlaps(boxes, boxes)
        for place in np.argsort(-likely, kind="stable").tolist():
            if likely[place] < UNLIKELY or len(kept) == MOST_WINDOWS:
                break
            if (shared[place, kept] < PACKED).all():
                kept.append(place)
        return [Proposal(_box(boxes[place])) for place in kept]

    def choose(
        self, photo: Photo, proposals: Sequence[Proposal], vectors: FloatArray, most: int
    ) -> list[Region]:
        """Return the windows that show one of the scene's things more than others do.

        A window that is more like the background's words than like any category's shows nothing.
        """
        if not proposals:
            return []
        scene = self.scene(photo)
        boxes = np.array([proposal.box for proposal in proposals])
        similarity = self._similarity(vectors, scene.categories)
        spread = np.maximum(similarity.std(axis=0), 1e-6)
        worth = (similarity - similarity.mean(axis=0)) / spread * SPREAD
        worth += self._place * _likely(scene, boxes, photo.aspect)
        something = similarity.max(axis=1) > self._background(vectors)
        worth[~something] = -np.inf
        names = [category.name for category in scene.categories]
        ranked = np.argsort(-worth, axis=None, kind="stable")
        ranked = ranked[np.isfinite(worth.ravel()[ranked])]
        candidates = [divmod(place, len(names)) for place in ranked.tolist()]
        kept = suppress_overlaps(
            ((box, names[n]) for box, n in candidates), boxes, most, PER_CATEGORY
        )
        return [
            Region(
                proposals[place].box,
                name,
                float(similarity[place, names.index(name)]),
                vectors[place],
            )
            for place, name in kept
        ]

    def name(
        self, photo: Photo, proposals: Sequence[Proposal], vectors: FloatArray
    ) -> list[Region]:
        """Return a region for each box that the app gave, named unless the app named it."""
        scene = self.scene(photo)
        boxes = np.array([proposal.box for proposal in proposals])
        similarity = self._similarity(vectors, scene.categories)
        worth = similarity + self._place * _likely(scene, boxes, photo.aspect)
        named = zip(proposals, vectors, similarity, worth.argmax(axis=1).tolist(), strict=True)
        return [
            Region(proposal.box, proposal.category, 1.0, vector)
            if proposal.category is not None
            else Region(proposal.box, scene.categories[best].name, float(row[best]), vector)
            for proposal, vector, row, best in named
        ]

    def _similarity(self, vectors: FloatArray, categories: Sequence[Category]) -> Similarity:
        """Return each vector's cosine with the best prompt of each category: (n, categories)."""
        columns = [
            (vectors @ np.stack([self._texts[prompt] for prompt in category.prompts]).T).max(axis=1)
            for category in categories
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def _background(self, vectors: FloatArray) -> Similarity:
        words = self._taxonomy.background
        if not words:
            return np.full(len(vectors), -np.inf)
        rows = np.stack([self._texts[word] for word in words])
        found: Similarity = (vectors @ rows.T).max(axis=1).astype(np.float64)
        return found


def prompts_of(taxonomy: Taxonomy) -> list[str]:
    """Return every prompt of a taxonomy once, the background's too."""
    prompts = [
        prompt
        for scene in taxonomy.scenes
        for category in scene.categories
        for prompt in category.prompts
    ]
    return list(dict.fromkeys([*prompts, *taxonomy.background]))


def _likely(scene: Scene, boxes: Boxes, aspect: float) -> Similarity:
    """Return the log-likelihoods of boxes being each category's: (n, categories).

    Zero for a category that may be anywhere.
    """
    columns = [
        np.zeros(len(boxes)) if each.place is None else each.place.likelihood(boxes, aspect)
        for each in scene.categories
    ]
    return np.stack(columns, axis=1)


def _box(row: npt.NDArray[np.float64]) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom
