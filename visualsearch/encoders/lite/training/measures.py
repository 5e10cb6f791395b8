"""Retrieval metrics of an encoder on photo sets: one score from 0 to 1 per query.

Queries are held-out images, searched among all images of a set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.lite.training.photos import CLOTHING_KINDS, Labels
from visualsearch.types import FloatArray

Texts = Callable[[list[str]], FloatArray]
Scores = dict[str, npt.NDArray[np.float64]]
SMALLEST_PAIR = 3  # products of one color and kind, or there is little to find
_NEVER = -9.0  # below every similarity


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Images as labels and as vectors, row by row."""

    labels: Sequence[Labels]
    vectors: FloatArray

    def column(self, name: str) -> npt.NDArray[np.str_]:
        """Return one label of every image, "None" where it is unknown."""
        return np.array([str(getattr(row, name)) for row in self.labels])

    @property
    def held_out(self) -> npt.NDArray[np.bool_]:
        """Return which images are held out from training."""
        return np.array([row.held_out for row in self.labels])


def everyday(photos: Shown, texts: Texts) -> Scores:
    """Classify everyday photos zero-shot, and search for photos of the same category."""
    kinds, held = photos.column("kind"), photos.held_out
    names = list(CLOTHING_KINDS.values())
    asked = photos.vectors[held]
    said = np.array(names)[(asked @ texts(names).T).argmax(axis=1)]
    similarity = asked @ photos.vectors.T
    similarity[np.arange(len(asked)), np.flatnonzero(held)] = _NEVER
    near = np.argsort(-similarity, axis=1)[:, :10]
    return {
        "clothing: category named": _each(said == kinds[held]),
        "clothing: category precision@10": (kinds[near] == kinds[held][:, None]).mean(axis=1),
    }


def other_views(shop: Shown) -> Scores:
    """Find a product by its later views among the first views of all."""
    products = shop.column("product")
    first = np.append(True, products[1:] != products[:-1])
    asked = ~first & shop.held_out
    similarity = shop.vectors[asked] @ shop.vectors[first].T
    near = products[first][np.argsort(-similarity, axis=1)[:, :3]]
    found = _each((near == products[asked][:, None]).any(axis=1))
    backs = np.array(["_back" in view for view in shop.column("view")[asked]])
    return {"luma: back view, top 3": found[backs], "luma: any view, top 3": found}


def colored_kinds(shop: Shown, texts: Texts) -> Scores:
    """Search "<color> <kind>" among held-out products: precision of the first min(10, right)."""
    goods = _Products(shop, shop.held_out)
    pairs = sorted({
        (color, kind)
        for color, kind in zip(goods.colors, goods.kinds, strict=True)
        if color != "None" and goods.of(color, kind).sum() >= SMALLEST_PAIR
    })  # fmt: skip
    kinds, colors, both = [], [], []
    for (color, kind), vector in zip(pairs, texts([f"{c} {k}" for c, k in pairs]), strict=True):
        count = min(10, int(goods.of(color, kind).sum()))
        best = np.argsort(-goods.scores(vector))[:count]
        kinds.append((goods.kinds[best] == kind).mean())
        colors.append((goods.colors[best] == color).mean())
        both.append(goods.of(color, kind)[best].mean())
    return {
        "luma: color + kind, kind": np.array(kinds),
        "luma: color + kind, color": np.array(colors),
        "luma: color + kind, both": np.array(both),
    }


def in_color(shop: Shown, texts: Texts, alpha: float) -> Scores:
    """Search "this, but in <color>": a held-out product's first view, and one word.

    One query for each other color of the style; the right answer is the style in that color.
    """
    goods = _Products(shop, np.ones(len(shop.labels), dtype=bool))
    names = sorted(set(goods.colors) - {"None"})
    tints = dict(zip(names, texts(names), strict=True))
    first, early = [], []
    for source in np.flatnonzero(goods.held_out):
        same = goods.styles == goods.styles[source]
        for color in sorted(set(goods.colors[same]) - {goods.colors[source], "None"}):
            scores = goods.scores(goods.front[source] + alpha * tints[color])
            scores[source] = _NEVER
            near = np.argsort(-scores)[:5]
            right = same[near] & (goods.colors[near] == color)
            first.append(right[0])
            early.append(right.any())
    return {"luma: in another color, first": _each(first),
            "luma: in another color, top 5": _each(early)}  # fmt: skip


def phone_photos(shelf: Shown, names: npt.NDArray[np.str_], crops: Sequence[FloatArray]) -> Scores:
    """Search the catalog's products by phone photos; the best of each photo's crops counts.

    `names` are the products on the photos, `crops` one array of vectors for each way to crop.
    """
    similarity = np.max([crop @ shelf.vectors.T for crop in crops], axis=0)
    near = shelf.column("product")[np.argsort(-similarity, axis=1)[:, :5]]
    right = near == names[:, None]
    return {"grocery: phone photo, first": _each(right[:, 0]),
            "grocery: phone photo, top 5": _each(right.any(axis=1))}  # fmt: skip


class _Products:
    """Images by product: the best of a product's images counts."""

    def __init__(self, shop: Shown, rows: npt.NDArray[np.bool_]) -> None:
        chosen = np.flatnonzero(rows)
        self.vectors = shop.vectors[chosen]
        names = shop.column("product")[chosen]
        self._starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
        heads = chosen[self._starts]
        self.front = self.vectors[self._starts]
        self.kinds, self.colors = shop.column("kind")[heads], shop.column("color")[heads]
        self.styles, self.held_out = shop.column("style")[heads], shop.held_out[heads]

    def of(self, color: str, kind: str) -> npt.NDArray[np.bool_]:
        """Return which products have this color and kind."""
        rows: npt.NDArray[np.bool_] = (self.colors == color) & (self.kinds == kind)
        return rows

    def scores(self, query: FloatArray) -> FloatArray:
        """Return the similarity of every product to one query."""
        similarity: FloatArray = np.maximum.reduceat(self.vectors @ query, self._starts)
        return similarity


def _each(hits: Sequence[bool] | npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.asarray(hits, dtype=np.float64)
