"""Heads trained on a catalog's own labels: logistic regression on embeddings.

Weights are regularized towards the text embeddings of the values, not towards zero, so that few
labels do no harm. There is no intercept: the frequency of a value in the catalog says nothing about
the next product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visualsearch.attributes.calibration import (
    calibration_error,
    fit_temperature,
    mean_probabilities,
)
from visualsearch.attributes.guesser import Head
from visualsearch.attributes.taxonomy import GuessableAttribute, Texts
from visualsearch.types import FloatArray

FOLDS = 5
STRENGTHS = (0.03, 0.3, 3.0, 30.0, 300.0)  # inverse regularization, chosen by cross-validation
FEWEST = 5  # products of a value; rarer values are not learned
ENOUGH = 20  # products of an attribute, at least
COMMON = 0.5  # share of labeled products with a learned value; below it, values are mostly unique
_STEPS = 200

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class LabeledProduct:
    """One product: its vectors (images, dim), its labels, and its group.

    Products of a `group` (a style in several colors) are in the same fold: otherwise a head would
    be measured on near-duplicates of its training images.
    """

    vectors: FloatArray
    labels: dict[str, str]
    group: str


def learnable_attributes(products: Sequence[LabeledProduct]) -> dict[str, tuple[str, ...]]:
    """Return the attributes that can be learned, each with its values, the most frequent first."""
    counts: dict[str, dict[str, int]] = {}
    for product in products:
        for name, value in product.labels.items():
            values = counts.setdefault(name, {})
            values[value] = values.get(value, 0) + 1
    found = {}
    for name, values in counts.items():
        kept = [value for value in sorted(values, key=lambda v: -values[v])
                if values[value] >= FEWEST]  # fmt: skip
        covered = sum(values[value] for value in kept)
        if len(kept) > 1 and covered >= max(ENOUGH, COMMON * sum(values.values())):
            found[name] = tuple(kept)
    return found


def train(
    products: Sequence[LabeledProduct],
    name: str,
    values: Sequence[str],
    known: GuessableAttribute | None,
    encode_texts: Texts,
) -> tuple[Head, Head]:
    """Return (trained head, zero-shot head) of one attribute, both measured by cross-validation.

    `known` is the taxonomy's attribute of this name, for its prompts and synonyms. Raises
    ValueError for fewer than two groups.
    """
    place = {value: number for number, value in enumerate(values)}
    mine = [product for product in products if product.labels.get(name) in place]
    right = np.array([place[product.labels[name]] for product in mine])
    described = _with_synonyms(name, values, known)
    prior = described.directions(encode_texts)
    folds = _folds([product.group for product in mine])
    words = [product.vectors.astype(np.float32) @ prior.T for product in mine]
    zero = _measure_fitted(Head(name, tuple(values), prior, 1.0), words, right)
    best: tuple[float, float, list[FloatArray]] | None = None
    for strength in STRENGTHS:
        held = _held_out(mine, right, folds, prior, zero.temperature, strength)
        temperature = fit_temperature(held, right.tolist())
        shares = mean_probabilities(held, temperature)[np.arange(len(right)), right]
        loss = float(-np.log(np.maximum(shares, 1e-12)).mean())
        if best is None or loss < best[0]:
            best = (loss, strength, held)
    assert best is not None  # noqa: S101 - there are strengths
    weights = fit(*_rows(mine, right), prior / zero.temperature, best[1])
    trained = _measure_fitted(Head(name, tuple(values), weights, 1.0, "trained"), best[2], right)
    return trained, zero


def fit(
    vectors: FloatArray, right: npt.NDArray[np.int64], prior: FloatArray, strength: float
) -> FloatArray:
    """Return weights (values, dim) of a logistic regression with prior mean `prior` (L-BFGS)."""
    import torch

    x, y = torch.from_numpy(vectors), torch.from_numpy(right)
    start = torch.from_numpy(np.ascontiguousarray(prior, dtype=np.float32))
    moved = torch.zeros_like(start, requires_grad=True)
    optimizer = torch.optim.LBFGS([moved], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ (start + moved).T, y)
        loss = loss + (moved**2).sum() / (2 * strength * len(y))
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found: FloatArray = (start + moved).detach().numpy()
    return found


def measure(head: Head, products: Sequence[LabeledProduct]) -> Head | None:
    """Return the head with its accuracy and error on products; None if none has its values."""
    place = {value: number for number, value in enumerate(head.values)}
    mine = [product for product in products if product.labels.get(head.name) in place]
    if not mine:
        return None
    right = np.array([place[product.labels[head.name]] for product in mine])
    similarity = [head.similarity(product.vectors) for product in mine]
    return _figures(head, similarity, right, head.temperature)


def _measure_fitted(head: Head, similarity: list[FloatArray], right: npt.NDArray[np.int64]) -> Head:
    return _figures(head, similarity, right, fit_temperature(similarity, right.tolist()))


def _figures(
    head: Head, similarity: list[FloatArray], right: npt.NDArray[np.int64], temperature: float
) -> Head:
    shares = mean_probabilities(similarity, temperature)
    hits = shares.argmax(axis=1) == right
    return Head(
        head.name, head.values, head.weights, temperature, head.source, float(hits.mean()),
        calibration_error(shares.max(axis=1), hits), len(right),
    )  # fmt: skip


def _held_out(
    products: Sequence[LabeledProduct],
    right: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    prior: FloatArray,
    temperature: float,
    strength: float,
) -> list[FloatArray]:
    """Return the scores of each product by a head that was not trained on its fold."""
    found: list[FloatArray] = [np.empty(0, dtype=np.float32)] * len(products)
    for fold in np.unique(folds):
        seen = np.flatnonzero(folds != fold).tolist()
        rows, labels = _rows([products[place] for place in seen], right[seen])
        weights = fit(rows, labels, prior / temperature, strength)
        for place in np.flatnonzero(folds == fold).tolist():
            found[place] = products[place].vectors.astype(np.float32) @ weights.T
    return found


def _rows(
    products: Sequence[LabeledProduct], right: npt.NDArray[np.int64]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    counts = [len(product.vectors) for product in products]
    vectors = np.concatenate([product.vectors for product in products]).astype(np.float32)
    return vectors, np.repeat(right, counts)


def _folds(groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return a fold for each product, the same for a whole group."""
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError("fewer than two groups of products: nothing would be left to measure on")
    order = np.random.default_rng(0).permutation(len(names))
    fold = {name: int(place) % FOLDS for name, place in zip(names, order, strict=True)}
    return np.array([fold[group] for group in groups])


def _with_synonyms(
    name: str, values: Sequence[str], known: GuessableAttribute | None
) -> GuessableAttribute:
    """Return the attribute with the catalog's values, described as the taxonomy does."""
    if known is None:
        return GuessableAttribute(name, dict.fromkeys(values, ()))
    synonyms = {value.lower(): words for value, words in known.values.items()}
    return GuessableAttribute(
        name, {value: synonyms.get(value.lower(), ()) for value in values}, known.prompts
    )
