"""What the lite encoder's heads are trained towards (training only)."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from visualsearch.encoders.lite.training.captions import KINDS, Caption, caption
from visualsearch.encoders.lite.training.truth import (
    FALSE,
    KIND_TABLE,
    TRUE,
    UNKNOWN,
    coded,
    verdicts,
)

if TYPE_CHECKING:
    from visualsearch.encoders.lite.text import Vocabulary
    from visualsearch.encoders.lite.training.fit import Material, Trainable

SHARE = 0.5  # of the visual part in the similarity of two images
NOISE = 0.35  # standard deviations added to what is seen
ALIKE_SCALE = 15.0  # the inverse temperature among images
_CLASSES = 128  # of ImageNet a step
_WORDS = 192  # of the vocabulary a step
_IMPOSSIBLE = -1e4


@dataclass(frozen=True, slots=True)
class Batch:
    """Which images, and which look at each."""

    rows: npt.NDArray[np.intp]
    looks: npt.NDArray[np.intp]


class Losses:
    """The sum of what is asked of the heads, on one batch."""

    def __init__(
        self,
        material: Material,
        vocabulary: Vocabulary,
        image_head: Trainable,
        text_head: Trainable,
        seed: int,
    ) -> None:
        self._material, self._vocabulary = material, vocabulary
        self._image_head, self._text_head = image_head, text_head
        self._rng, self._picks = random.Random(seed), np.random.default_rng(seed)
        self._codes, self._corpora = coded(material.labels), np.array(material.corpora)
        self._width = vocabulary.vectors.shape[1]
        self._word = functools.lru_cache(maxsize=None)(lambda text: vocabulary.encode([text])[0])

    def __call__(self, batch: Batch, scale: Tensor) -> Tensor:
        """Return the loss; `scale` is the inverse temperature between words and images."""
        pictures = self._image_head(self._noisy(self._material.seen[batch.looks, batch.rows]))
        visual = torch.from_numpy(self._material.visual[batch.looks, batch.rows])
        similarity = SHARE * visual @ visual.T + (1 - SHARE) * pictures @ pictures.T
        return (
            self._captioned(batch.rows, pictures, scale)
            + self._named(batch.rows, pictures, scale)
            + self._alike(batch.rows, similarity)
            + 0.3 * self._classes()
            + 2.0 * self._kept()
        )

    def _noisy(self, seen: npt.NDArray[np.float32]) -> Tensor:
        """Blur what is seen; of some images no class name is known."""
        x = torch.from_numpy(seen)
        spread = torch.full((x.shape[1],), NOISE)
        spread[-self._width :] *= 0.05
        x = x + spread * torch.randn_like(x)
        x[torch.rand(len(x)) < 0.15, -self._width :] = 0
        return x

    def _said(self, texts: list[str]) -> Tensor:
        vectors = np.stack([self._word(text) for text in texts])
        said: Tensor = self._text_head(torch.from_numpy(vectors))
        return said

    def _captioned(self, rows: npt.NDArray[np.intp], pictures: Tensor, scale: Tensor) -> Tensor:
        """Pull images to what is said of them, push them from what is known to be false."""
        said: list[Caption] = [caption(self._material.labels[row], self._rng) for row in rows]
        table = torch.from_numpy(verdicts(coded(said), self._codes[rows]))
        similarity = scale * self._said([claim.text for claim in said]) @ pictures.T
        similarity = similarity.masked_fill(table == UNKNOWN, _IMPOSSIBLE)
        holds = table == TRUE
        return _several(similarity, holds) + _several(similarity.T, holds.T)

    def _named(self, rows: npt.NDArray[np.intp], pictures: Tensor, scale: Tensor) -> Tensor:
        """Choose each image's kind among the names of all kinds of its corpus."""
        names, total = list(KINDS), torch.zeros(())
        for corpus in sorted(set(self._corpora[rows])):
            here = self._corpora[rows] == corpus
            known = np.unique(self._codes.kinds[self._corpora == corpus])
            words = self._said([self._rng.choice(KINDS[names[kind]]) for kind in known])
            right = torch.from_numpy(np.searchsorted(known, self._codes.kinds[rows[here]]))
            logits = scale * pictures[torch.from_numpy(here)] @ words.T
            loss = functional.cross_entropy(logits, right, label_smoothing=0.05)
            total = total + loss * float(here.mean())
        return total

    def _alike(self, rows: npt.NDArray[np.intp], similarity: Tensor) -> Tensor:
        """Bring images of one kind together, those of one product closest.

        The similarity is that of whole vectors: the semantic part mends what the visual one misses.
        """
        codes, other = self._codes[rows], ~np.eye(len(rows), dtype=bool)
        kind = codes.kinds[:, None] == codes.kinds
        strange = KIND_TABLE[codes.kinds][:, codes.kinds] == FALSE
        product = codes.products[:, None] == codes.products
        by_kind = _among(similarity, kind & other, strange & other)
        return by_kind + 0.5 * _among(similarity, product & other, ~product)

    def _classes(self) -> Tensor:
        """Teach the names of ImageNet's classes by their prototypes."""
        material = self._material
        rows = self._picks.choice(len(material.class_seen), _CLASSES, replace=False)
        x = torch.from_numpy(material.class_seen[rows])
        x[:, : -self._width] *= torch.rand(_CLASSES, 1)
        x[:, : -self._width] += 0.5 * torch.randn(_CLASSES, x.shape[1] - self._width)
        words = self._said([self._rng.choice(list(material.class_names[row])) for row in rows])
        logits, right = 15 * words @ self._image_head(x).T, torch.arange(_CLASSES)
        return functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)

    def _kept(self) -> Tensor:
        """Keep words alike that the sentence model finds alike, so that unseen words make sense."""
        count = len(self._vocabulary.words)
        rows = self._picks.choice(count, min(_WORDS, count), replace=False)
        vectors = self._vocabulary.vectors[rows].astype(np.float32)
        x = functional.normalize(torch.from_numpy(vectors), dim=1)
        y = self._text_head(x)
        return functional.mse_loss(y @ y.T, x @ x.T)


def _several(logits: Tensor, holds: Tensor) -> Tensor:
    """Cross-entropy against all right answers of a row alike."""
    target = holds.float() / holds.sum(dim=1, keepdim=True).clamp(min=1)
    return functional.cross_entropy(logits, target)


def _among(
    similarity: Tensor, right: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]
) -> Tensor:
    """Prefer the right neighbors to the wrong ones, in rows that have any right one."""
    holds = torch.from_numpy(right)
    logits = (ALIKE_SCALE * similarity).masked_fill(~torch.from_numpy(right | wrong), _IMPOSSIBLE)
    asked = holds.any(dim=1)
    return _several(logits[asked], holds[asked])
