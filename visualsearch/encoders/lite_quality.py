"""Measure a lite model on pictures that it was not trained on (training only)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from visualsearch.drawings import word_queries
from visualsearch.drawings.palette import COLORS
from visualsearch.encoders.lite_corpus import Labels, chosen
from visualsearch.encoders.lite_features import Features
from visualsearch.encoders.lite_model import LiteModel
from visualsearch.types import FloatArray

Corpus = tuple[list[Labels], Features]
SHARES = (0.5, 0.6, 0.7, 0.8)
ALPHAS = (0.3, 0.43, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8, 3.5)
GOOD_ENOUGH = 0.05  # short of the best: then the smaller alpha, which keeps more of the picture


def tuned(model: LiteModel, held: Mapping[str, Corpus]) -> tuple[LiteModel, dict[str, Any]]:
    """Choose the share of the visual part and alpha; return the model with what it scores."""
    if "luma" in held:
        by_share = {
            share: _luma_score(replace(model, share=share), held["luma"]) for share in SHARES
        }
        model = replace(model, share=max(by_share, key=lambda share: by_share[share]))
    labels, features = held["catalogue"]
    shop = _Products(labels, model.images(features))
    by_alpha = {alpha: recolored(model, shop, alpha) for alpha in ALPHAS}
    enough = max(by_alpha.values()) - GOOD_ENOUGH
    model = replace(model, alpha=min(a for a, score in by_alpha.items() if score >= enough))
    report: dict[str, Any] = {"share": model.share, "alpha": model.alpha}
    report |= words(model, shop)
    report["image_and_color_precision@10"] = by_alpha[model.alpha]
    report["scene_finds_product@1"] = scenes(model, held["catalogue"])
    if "luma" in held:
        report |= luma(model, held["luma"])
    if "clothing" in held:
        report |= clothing(model, held["clothing"])
    return model, {key: round(float(value), 4) for key, value in report.items()}


class _Products:
    """A catalogue searched by products: the best of a product's pictures counts."""

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


def words(model: LiteModel, shop: _Products) -> dict[str, float]:
    """Search a drawn catalogue for "<colour> <kind>": precision of kind and colour among ten."""
    kinds, colors = [], []
    queries = word_queries()
    vectors = model.texts([text for text, _, _ in queries])
    for (_, kind, color), vector in zip(queries, vectors, strict=True):
        hits = [shop.facts[index] for index in shop.best(vector)]
        kinds.append(np.mean([hit.kind == kind for hit in hits]))
        colors.append(np.mean([hit.color == color for hit in hits]))
    return {
        "words_kind_precision@10": float(np.mean(kinds)),
        "words_color_precision@10": float(np.mean(colors)),
        "words_worst_kind": float(np.min(kinds)),
        "words_worst_color": float(np.min(colors)),
    }


def recolored(model: LiteModel, shop: _Products, alpha: float) -> float:
    """Search "this but in <colour>": how many of the best hits are of that kind and colour.

    Of as many hits as right answers exist, ten at most; colours with none are left out.
    """
    tints = dict(zip(COLORS, model.texts(list(COLORS)), strict=True))
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


def scenes(model: LiteModel, corpus: Corpus) -> float:
    """Search by the second view among the first ones: how often its own product comes first."""
    labels, features = corpus
    vectors = model.images(features)
    first = np.array([row.view == "front" for row in labels])
    names = np.array([row.product for row in labels])
    nearest = (vectors[~first] @ vectors[first].T).argmax(axis=1)
    return float(np.mean(names[first][nearest] == names[~first]))


def _luma_score(model: LiteModel, corpus: Corpus) -> float:
    figures = luma(model, corpus)
    return figures["luma_back_top3"] + figures["luma_same_category_first"]


def luma(model: LiteModel, corpus: Corpus) -> dict[str, float]:
    """Search by the later views of real products among their first ones."""
    labels, features = corpus
    names = np.array([row.product for row in labels])
    kinds = np.array([row.category for row in labels])
    first = np.append(True, names[1:] != names[:-1])
    back = np.array(["_back" in row.view for row in labels])[~first]
    held = np.array([row.held_out for row in labels])[~first]
    vectors = model.images(features)
    order = np.argsort(-(vectors[~first] @ vectors[first].T), axis=1)[:, :3]
    same = (names[first][order] == names[~first][:, None]).any(axis=1)
    kind = kinds[first][order[:, 0]] == kinds[~first]
    figures = {
        "luma_back_top3": same[back].mean(),
        "luma_back_top3_held_out": same[back & held].mean(),
        "luma_same_category_first": kind.mean(),
        "luma_same_category_first_held_out": kind[held].mean(),
        "luma_same_category_first_back": kind[back].mean(),
    }
    part = chosen(features, np.flatnonzero(first))
    facts = [label for label, is_first in zip(labels, first, strict=True) if is_first]
    figures["luma_words_category_precision@10"] = _category_words(model, facts, part, held_out=True)
    return {key: float(value) for key, value in figures.items()}


def _category_words(
    model: LiteModel, labels: Sequence[Labels], features: Features, *, held_out: bool
) -> float:
    """Search by each category's name among the held-out pictures."""
    rows = [i for i, row in enumerate(labels) if row.held_out == held_out]
    vectors = model.images(chosen(features, rows))
    kinds = np.array([labels[i].kind for i in rows])
    asked = [kind for kind in sorted(set(kinds)) if (kinds == kind).sum() >= 10]
    scores = model.texts([str(kind) for kind in asked]) @ vectors.T
    best = kinds[np.argsort(-scores, axis=1)[:, :10]]
    return float(np.mean(best == np.array(asked)[:, None]))


def clothing(model: LiteModel, corpus: Corpus) -> dict[str, float]:
    """Search everyday clothing photos by each other and by the names of their categories."""
    labels, features = corpus
    vectors = model.images(features)
    kinds = np.array([row.kind for row in labels])
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    best = kinds[np.argsort(-scores, axis=1)[:, :10]]
    return {
        "clothing_precision@10": float(np.mean(best == kinds[:, None])),
        "clothing_words_precision@10": _category_words(model, labels, features, held_out=True),
    }
