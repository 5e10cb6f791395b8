"""The shipped weights of the lite encoder, on real photos that they were not trained on."""

from pathlib import Path

import pytest

from visualsearch import load_encoder
from visualsearch.encoders.lite.training.quality import measured, table


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_the_shipped_weights_reach_every_bar(data_dir: Path) -> None:
    """All by one set of vectors, at the encoder's own alpha."""
    rows = measured(load_encoder("lite"), data_dir)
    print("\n" + table(rows))
    assert len(rows) == 11
    assert all(row.queries >= 25 for row in rows)
    assert [row.name for row in rows if not row.passed] == []
