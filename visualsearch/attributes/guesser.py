"""Guess a product's attributes from the vectors of its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from visualsearch.attributes.calibration import Doubles, pooled
from visualsearch.attributes.taxonomy import Attribute, Texts
from visualsearch.types import FloatArray, Guess

Source = Literal["zero-shot", "trained"]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One attribute: `weights` of shape (values, dim), the temperature, and how good it is.

    `accuracy` and `error` (calibration) were measured on `products` that nothing was fitted to;
    None where nobody measured them.
    """

    name: str
    values: tuple[str, ...]
    weights: FloatArray
    temperature: float
    source: Source = "zero-shot"
    accuracy: float | None = None
    error: float | None = None
    products: int = 0

    def likeness(self, vectors: FloatArray) -> FloatArray:
        """Return scores of shape (pictures, values), before the temperature."""
        scores: FloatArray = vectors.astype(np.float32) @ self.weights.T
        return scores

    def shares(self, products: Sequence[FloatArray]) -> Doubles:
        """Return probabilities of shape (products, values)."""
        return pooled([self.likeness(vectors) for vectors in products], self.temperature)


@dataclass(frozen=True, slots=True, eq=False)
class Guesser:
    """All heads of one model; a guess less sure than `least` is not made."""

    model: str
    heads: tuple[Head, ...]
    least: float = 0.5

    def __call__(self, vectors: FloatArray) -> dict[str, Guess]:
        """Return guesses by attribute from unit rows of shape (pictures, dim); none for no rows."""
        if not len(vectors):
            return {}
        found = {}
        for head in self.heads:
            shares = head.shares([vectors])[0]
            best = int(shares.argmax())
            if shares[best] >= self.least:
                found[head.name] = Guess(head.values[best], round(float(shares[best]), 3))
        return found


def zero_shot(
    taxonomy: Sequence[Attribute],
    encode_texts: Texts,
    temperatures: Mapping[str, float],
) -> tuple[Head, ...]:
    """Return a head per attribute from words alone.

    An attribute without a temperature of its own takes the highest, the most cautious, of all.
    Raises ValueError if there is none at all: a confidence that nobody measured means nothing.
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
