"""Calibration of confidences: of guesses with confidence .8, four of five are right."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_LOWEST, _HIGHEST, _STEPS = 1e-3, 10.0, 81  # temperatures that are tried, evenly by logarithm
_ROUNDS = 3
_BINS = 10
_LEAST = 1e-12


def probabilities(similarity: npt.NDArray[np.floating], temperature: float) -> Doubles:
    """Return the softmax of rows of scores (n, values) at a temperature."""
    scaled = similarity.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    shares = np.exp(scaled)
    found: Doubles = shares / shares.sum(axis=1, keepdims=True)
    return found


def mean_probabilities(
    similarity: Sequence[npt.NDArray[np.floating]], temperature: float
) -> Doubles:
    """Return a row of probabilities per product: the mean of those of its images."""
    return np.array([probabilities(rows, temperature).mean(axis=0) for rows in similarity])


def fit_temperature(similarity: Sequence[npt.NDArray[np.floating]], right: Sequence[int]) -> float:
    """Return the temperature at which the right values are the most likely.

    `similarity` holds an array (images, values) per product, `right` the place of its value.
    Needs products that nothing was trained on. Raises ValueError without any.
    """
    if not len(right):
        raise ValueError("no products to fit a temperature to")
    # Products by their number of images: all of a size are scored at once.
    sizes: dict[int, list[int]] = {}
    for place, rows in enumerate(similarity):
        sizes.setdefault(len(rows), []).append(place)
    stacks = [
        (np.stack([similarity[place] for place in places]), np.array([right[p] for p in places]))
        for places in sizes.values()
    ]

    def loss(temperature: float) -> float:
        return sum(_loss(stack, truth, temperature) for stack, truth in stacks)

    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(_ROUNDS):
        grid = np.linspace(low, high, _STEPS)
        best = grid[int(np.argmin([loss(float(np.exp(one))) for one in grid]))]
        width = (high - low) / (_STEPS - 1)
        low, high = best - width, best + width
    return float(np.exp(best))


def _loss(
    stack: npt.NDArray[np.floating], truth: npt.NDArray[np.int64], temperature: float
) -> float:
    count, pictures, values = stack.shape
    shares = probabilities(stack.reshape(-1, values), temperature)
    mean = shares.reshape(count, pictures, values).mean(axis=1)
    return float(-np.log(np.maximum(mean[np.arange(count), truth], _LEAST)).sum())


def calibration_error(confidences: Doubles, right: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error: |confidence - accuracy|, over ten bins of equal size.

    Bins of equal size, not width: few products would leave most bins of equal width empty.
    Raises ValueError without guesses.
    """
    if not len(confidences):
        raise ValueError("no guesses to judge")
    order = np.argsort(confidences, kind="stable")
    error = 0.0
    for part in np.array_split(order, min(_BINS, len(order))):
        gap = abs(float(confidences[part].mean()) - float(right[part].mean()))
        error += gap * len(part) / len(order)
    return error
