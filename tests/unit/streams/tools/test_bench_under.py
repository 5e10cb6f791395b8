"""Searches beside changes: which of them their recall is taken from."""

import numpy as np
import pytest

from streams.tools.bench.measurements.under import sample_searches

QUERIES = 200


@pytest.mark.parametrize("count", [0, 1, 400, 13_593, 88_000, 88_200, 94_812])
def test_searches_looked_at_are_of_all_queries(count: int) -> None:
    """The queries come round and round: of every 220th search a tenth of them would be seen."""
    looked = sample_searches(count)
    assert len(looked) == len(set(looked)) == min(count, 400)
    assert all(0 <= n < count for n in looked)
    if count > 400:
        assert len(np.unique(np.array(looked) % QUERIES)) > 0.8 * QUERIES
    assert sample_searches(count) == looked, "the same ones again"
