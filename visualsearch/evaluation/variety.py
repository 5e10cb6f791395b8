"""Coverage of a catalog by answers, and diversity of the products in an answer."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from visualsearch.evaluation.sampling import Estimate
from visualsearch.types import FloatArray


def diversity(vectors: FloatArray) -> float:
    """Return 1 - the mean pairwise cosine of an answer's images; 0 for fewer than two.

    `vectors` are unit rows of shape (hits, dim). 0: all identical; 1: orthogonal on average.
    """
    count = len(vectors)
    if count < 2:
        return 0.0
    rows = vectors.astype(np.float64)
    total = rows.sum(axis=0)
    pairs = (float(total @ total) - float((rows * rows).sum())) / (count * (count - 1))
    return 1.0 - pairs


def coverage(answers: Sequence[Collection[str]], products: int) -> Estimate:
    """Return the share of a catalog of `products` that any answer shows.

    The interval is by jackknife (leave one query out). A bootstrap sample has fewer distinct
    queries, and would underestimate coverage. Raises ValueError without answers or products.
    """
    if not answers or products < 1:
        raise ValueError("coverage needs answers and products")
    shown = Counter(name for answer in answers for name in set(answer))
    alone = np.array([sum(shown[name] == 1 for name in set(each)) for each in answers]) / products
    seen, count = len(shown) / products, len(answers)
    spread = alone - alone.mean()
    half = 1.96 * float(np.sqrt((count - 1) / count * (spread**2).sum()))
    return Estimate(seen, max(0.0, seen - half), min(1.0, seen + half), count)
