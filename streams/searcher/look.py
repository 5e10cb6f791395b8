"""Mode look: detects the regions of a photo and makes a query of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from streams.config.settings import Settings
from streams.model.model import Model
from streams.model.priority_pool import Priority
from streams.searcher.images import QueryImages
from streams.searcher.request import ParsedRequest
from streams.searcher.vectors import IndexQuery, QueryVectors
from visualsearch.engine import Engine
from visualsearch.lru import Lru
from visualsearch.search.compose import QueryPart
from visualsearch.search.look.boxes import Box, crop
from visualsearch.search.look.category_matching import (
    category_words,
    match_categories,
    narrow_to_filter,
)
from visualsearch.search.look.checkpoint import CheckpointDetector
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Detector, Photo, Proposal, Region
from visualsearch.search.look.taxonomy import Taxonomy, read_look_categories
from visualsearch.types import FloatArray

QUERY = Priority.QUERY
CPU_STEP, GPU_STEP = 4, 128  # crops per model call; other queries run in between
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
KNOWN_WORDS = 10_000  # cached vectors of category names


@dataclass(frozen=True, slots=True)
class Detection:
    """The detection models that the settings name, loaded."""

    taxonomy: Taxonomy
    checkpoint: CheckpointDetector | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Detection":
        """Read the files that the settings name; see `load`."""
        return cls.load(settings.look_categories, settings.look_checkpoint, settings.look_labels)

    @classmethod
    def load(
        cls, categories: Path | None, checkpoint: Path | None, labels: Path | None
    ) -> "Detection":
        """Read the files. Raises VisualSearchError, which names the invalid one."""
        taxonomy = (
            read_look_categories() if categories is None else read_look_categories(categories)
        )
        if checkpoint is None or labels is None:
            return cls(taxonomy)
        return cls(taxonomy, CheckpointDetector.load(checkpoint, labels))


class LookSearch:
    """Detects and embeds regions, in short model calls: other queries run in between."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        images: QueryImages,
        vectors: QueryVectors,
        detection: Detection,
    ) -> None:
        self._engine = engine
        self._model = model
        self._images = images
        self._vectors = vectors
        self._detection = detection
        self._prompts: PromptDetector | None = None
        self._words: Lru[str, FloatArray] = Lru(KNOWN_WORDS)

    async def embed(self, parsed: ParsedRequest, images: Sequence[bytes]) -> list[IndexQuery]:
        """Return a query for each region, filtered by the region's category.

        A region whose category is outside the request's category filter is omitted.
        Raises RequestError for bytes that are no image, ModelError when the model fails.
        """
        (data,), ((_, image),) = images, parsed.images
        regions = await self._regions(parsed, data)
        texts = await self._vectors.texts(parsed)
        categories = await self._catalog_categories(regions)
        queries: list[IndexQuery] = []
        for region in regions:
            category = narrow_to_filter(
                categories.get(region.category or "", ()), parsed.filters.category
            )
            if category is not None:
                view = self._vectors.compose(
                    [QueryPart(region.vector, image.weight, "query")], texts
                )
                filters = replace(parsed.filters, category=category)
                queries.append(IndexQuery([view], filters, region))
        return queries

    async def _regions(self, parsed: ParsedRequest, data: bytes) -> list[Region]:
        """Return the photo's regions, best first; the whole photo if none is detected."""
        request = parsed.request
        prompts = await self._prompt_detector()
        ((field, _),) = parsed.images
        image = await self._images.photo(field, data, request.preprocess)
        (whole,) = await self._embedded(image, [Proposal(WHOLE)])
        photo = Photo(image, whole)
        if request.boxes:
            boxes = [Proposal(_box(each.box), each.category) for each in request.boxes]
            return prompts.name(photo, boxes, await self._embedded(image, boxes))
        detector: Detector = self._detection.checkpoint or prompts
        proposals = await self._model.run_on_cpu_pool(QUERY, lambda: detector.propose(photo))
        vectors = await self._embedded(image, proposals)
        chosen = await self._model.run_on_cpu_pool(
            QUERY, lambda: detector.choose(photo, proposals, vectors, request.max_regions)
        )
        return chosen or [Region(WHOLE, None, 0.0, whole)]

    async def _prompt_detector(self) -> PromptDetector:
        if self._prompts is None:
            taxonomy = self._detection.taxonomy
            texts = await self._model.texts(QUERY, prompts_of(taxonomy))
            self._prompts = PromptDetector(taxonomy, texts)
        return self._prompts

    async def _embedded(self, image: Image.Image, proposals: Sequence[Proposal]) -> FloatArray:
        """Return a unit row for each proposal's crop, of shape (proposals, dim)."""
        encoder = self._model.encoder
        step = CPU_STEP if encoder.device == "cpu" else GPU_STEP
        rows = [np.zeros((0, encoder.dim), dtype=np.float32)]
        for start in range(0, len(proposals), step):
            boxes = [each.box for each in proposals[start : start + step]]
            prepared = await self._model.run_on_cpu_pool(
                QUERY,
                lambda boxes=boxes: [encoder.prepare(crop(image, b)) for b in boxes],  # type: ignore[misc]
            )
            rows.append(await self._model.images(QUERY, prepared))
        return np.concatenate(rows)

    async def _catalog_categories(self, regions: Sequence[Region]) -> dict[str, tuple[str, ...]]:
        """Return the catalog's categories that match each category of the regions.

        A category that the request named and no detector knows matches itself.
        """
        prompts = await self._prompt_detector()
        known = dict(prompts.categories)
        if self._detection.checkpoint is not None:
            known |= self._detection.checkpoint.categories
        catalog = await self._model.run_on_cpu_pool(QUERY, self._engine.categories)
        prompt_words = [word for words in known.values() for word in words]
        vectors = await self._word_vectors([*prompt_words, *map(category_words, catalog)])
        found = match_categories(
            {name: np.stack([vectors[word] for word in words]) for name, words in known.items()},
            {name: vectors[category_words(name)] for name in catalog},
        )
        own = {region.category for region in regions} - known.keys() - {None}
        return found | {name: (name,) for name in own if name is not None}

    async def _word_vectors(self, words: Sequence[str]) -> dict[str, FloatArray]:
        """Return the vectors of words, by word; embeds those that are not cached."""
        found = {word: vector for word in words if (vector := self._words.get(word)) is not None}
        new = [word for word in dict.fromkeys(words) if word not in found]
        if new:
            rows = await self._model.texts(QUERY, new)
            for word, row in zip(new, rows, strict=True):
                found[word] = row
                self._words.put(word, row)
        return found


def _box(edges: Sequence[float]) -> Box:
    left, top, right, bottom = edges
    return left, top, right, bottom
