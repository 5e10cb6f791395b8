"""Guess a product's attributes from the vectors of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from visualsearch.attributes.calibration import Doubles, mean_probabilities
from visualsearch.attributes.taxonomy import GuessableAttribute, Texts
from visualsearch.index.arrays import IntArray
from visualsearch.types import FloatArray, Guess

HeadSource = Literal["zero-shot", "trained"]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear classifier of one attribute: `weights` of shape (values, dim), and a temperature.

    `accuracy` and `error` (calibration error) were measured on `products` held-out products; None
    if not measured.
    """

    name: str
    values: tuple[str, ...]
    weights: FloatArray
    temperature: float
    source: HeadSource = "zero-shot"
    accuracy: float | None = None
    error: float | None = None
    products: int = 0

    def similarity(self, vectors: FloatArray) -> FloatArray:
        """Return scores of shape (images, values), before the temperature."""
        scores: FloatArray = vectors.astype(np.float32) @ self.weights.T
        return scores

    def probabilities(self, products: Sequence[FloatArray]) -> Doubles:
        """Return probabilities of shape (products, values)."""
        return mean_probabilities(
            [self.similarity(vectors) for vectors in products], self.temperature
        )


@dataclass(frozen=True, slots=True, eq=False)
class Guesser:
    """All heads of one model; guesses below the confidence `least` are left out."""

    model: str
    heads: tuple[Head, ...]
    least: float = 0.5
    _weights: FloatArray = field(
        init=False, repr=False
    )  # of all heads, divided by their temperatures
    _starts: IntArray = field(init=False, repr=False)
    _sizes: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sizes = np.array([len(head.values) for head in self.heads], dtype=np.int64)
        rows = [head.weights / np.float32(head.temperature) for head in self.heads]
        object.__setattr__(self, "_weights", np.concatenate(rows))
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(sizes)[:-1]]))

    def __call__(self, vectors: FloatArray) -> dict[str, Guess]:
        """Return guesses by attribute from unit rows of shape (images, dim); none for no rows.

        Equals each head's `probabilities`, in one matrix product: this runs for each event.
        """
        if not len(vectors):
            return {}
        scores = vectors.astype(np.float32) @ self._weights.T
        highest = np.maximum.reduceat(scores, self._starts, axis=1)
        shares = np.exp(scores - np.repeat(highest, self._sizes, axis=1))
        sums = np.add.reduceat(shares, self._starts, axis=1)
        mean = (shares / np.repeat(sums, self._sizes, axis=1)).mean(axis=0)
        found = {}
        for head, start in zip(self.heads, self._starts.tolist(), strict=True):
            mine = mean[start : start + len(head.values)]
            best = int(mine.argmax())
            if mine[best] >= self.least:
                found[head.name] = Guess(head.values[best], round(float(mine[best]), 3))
        return found


def zero_shot(
    taxonomy: Sequence[GuessableAttribute],
    encode_texts: Texts,
    temperatures: Mapping[str, float],
) -> tuple[Head, ...]:
    """Return a head per attribute from text embeddings alone.

    An attribute without a temperature of its own uses the highest one, which gives the lowest
    confidences. Raises ValueError without any temperature: confidences would mean nothing.
    """
    if not temperatures:
        raise ValueError("no temperature was fitted for this model")
    cautious = max(temperatures.values())
    return tuple(
        Head(
            attribute.name,
            tuple(attribute.values),
            attribute.directions(encode_texts),
            temperatures.get(attribute.name, cautious),
        )
        for attribute in taxonomy
    )
