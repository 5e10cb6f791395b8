"""The built-in detector: sliding windows, classified zero-shot by the encoder's text prompts."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.search.look.boxes import Box, Boxes, overlaps, windows
from visualsearch.search.look.regions import Photo, Proposal, Region, suppress_overlaps
from visualsearch.search.look.taxonomy import Category, Scene, Taxonomy
from visualsearch.types import FloatArray

Similarity = npt.NDArray[np.float64]

PLACE = 0.1  # weight of the location prior; 0.06 to 0.2 measure about the same
SPREAD = 0.05  # standard deviation that each category's similarities are brought to
UNLIKELY = -3.0  # log-likelihood: windows below it for all categories are dropped
PACKED = 0.55  # IoU from which the less likely of two windows is dropped
PER_CATEGORY = 2  # regions, at most
MOST_WINDOWS = 64


class PromptDetector:
    """Classifies windows by prompts and location priors, without weights beside the encoder's.

    `texts` are the unit vectors of `prompts_of(taxonomy)`, in their order, shape (prompts, dim);
    `place` is the weight of the location prior's log-likelihood beside a cosine.
    """

    def __init__(self, taxonomy: Taxonomy, texts: FloatArray, *, place: float = PLACE) -> None:
        self._taxonomy = taxonomy
        self._place = place
        self._texts = dict(zip(prompts_of(taxonomy), texts, strict=True))

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return each category's prompts and aliases."""
        every = (each for scene in self._taxonomy.scenes for each in scene.categories)
        return {category.name: (*category.prompts, *category.aliases) for category in every}

    def scene(self, photo: Photo) -> Scene:
        """Return the scene with the prompt that is most similar to the whole photo."""

        def similarity(scene: Scene) -> float:
            return float(self._similarity(photo.whole[None], scene.categories).max())

        return max(self._taxonomy.scenes, key=similarity)

    def propose(self, photo: Photo) -> list[Proposal]:
        """Return windows of the photo's scene, without those that the location priors rule out."""
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
        """Return the windows that stand out in their similarity to a category of the scene.

        A window that is more similar to a background prompt than to any category is dropped.
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
        """Return a region for each box of the request; the request's category takes precedence."""
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
    """Return the distinct prompts of a taxonomy, the background's included."""
    prompts = [
        prompt
        for scene in taxonomy.scenes
        for category in scene.categories
        for prompt in category.prompts
    ]
    return list(dict.fromkeys([*prompts, *taxonomy.background]))


def _likely(scene: Scene, boxes: Boxes, aspect: float) -> Similarity:
    """Return the log-likelihood of each box by each category's location prior: (n, categories).

    Zero for a category without a prior.
    """
    columns = [
        np.zeros(len(boxes)) if each.place is None else each.place.likelihood(boxes, aspect)
        for each in scene.categories
    ]
    return np.stack(columns, axis=1)


def _box(row: npt.NDArray[np.float64]) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom
