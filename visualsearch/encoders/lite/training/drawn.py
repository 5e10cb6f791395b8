"""Evaluation of a lite model on a drawn catalog that it was not trained on (training only)."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from visualsearch.datasets.drawn import word_queries
from visualsearch.datasets.drawn.palette import COLORS
from visualsearch.encoders.lite.model import LiteModel
from visualsearch.encoders.lite.training.corpus import Corpus
from visualsearch.encoders.lite.training.measures import Texts
from visualsearch.encoders.lite.training.photos import Labels
from visualsearch.types import FloatArray


def measured(model: LiteModel, corpus: Corpus) -> dict[str, float]:
    """Search the catalog by words, by "this, but in <color>" and by second views."""
    labels, features = corpus
    vectors = model.images(features)
    shop = Products(labels, vectors)
    report = words(shop, model.texts)
    report["drawn: in another color, precision@10"] = recolored(shop, model.texts, model.alpha)
    report["drawn: second view, first"] = scenes(labels, vectors)
    return report


class Products:
    """A catalog searched by products: the best of a product's images counts."""

    def __init__(self, labels: Sequence[Labels], vectors: FloatArray) -> None:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, label in enumerate(labels):
            rows[label.product].append(row)
        self.facts = [labels[group[0]] for group in rows.values()]
        self.vectors = vectors
        self.groups = list(rows.values())

    def best(self, query: FloatArray, count: int = 10) -> list[int]:
        """Return the nearest products of one query."""
        scores = self.vectors @ query
        products = np.array([scores[group].max() for group in self.groups])
        return [int(index) for index in np.argsort(-products)[:count]]


def words(shop: Products, texts: Texts) -> dict[str, float]:
    """Search for "<color> <kind>": precision of kind and color among ten."""
    kinds, colors = [], []
    queries = word_queries()
    vectors = texts([text for text, _, _ in queries])
    for (_, kind, color), vector in zip(queries, vectors, strict=True):
        hits = [shop.facts[index] for index in shop.best(vector)]
        kinds.append(np.mean([hit.kind == kind for hit in hits]))
        colors.append(np.mean([hit.color == color for hit in hits]))
    return {
        "drawn: color + kind, kind": float(np.mean(kinds)),
        "drawn: color + kind, color": float(np.mean(colors)),
    }


def recolored(shop: Products, texts: Texts, alpha: float) -> float:
    """Search "this but in <color>": how many of the best hits are of that kind and color.

    Of as many hits as right answers exist, ten at most; colors with few are left out.
    """
    tints = dict(zip(COLORS, texts(list(COLORS)), strict=True))
    scores = []
    for group, facts in list(zip(shop.groups, shop.facts, strict=True))[::7]:
        for color, tint in tints.items():
            right = sum(f.kind == facts.kind and f.color == color for f in shop.facts)
            if color == facts.color or right < 3:
                continue
            query = shop.vectors[group[0]] + alpha * tint
            hits = [shop.facts[index] for index in shop.best(query, min(10, right))]
            scores.append(np.mean([h.kind == facts.kind and h.color == color for h in hits]))
    return float(np.mean(scores))


def scenes(labels: Sequence[Labels], vectors: FloatArray) -> float:
    """Search by the second view among the first ones: how often its own product comes first."""
    first = np.array([row.view == "front" for row in labels])
    names = np.array([row.product for row in labels])
    nearest = (vectors[~first] @ vectors[first].T).argmax(axis=1)
    return float(np.mean(names[first][nearest] == names[~first]))
