"""The bars of the lite encoder come out of `visualsearch evaluate`, with intervals."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli import main
from tests.support.relevance_sets import BARS, write_sets
from visualsearch.encoders.lite.training import quality as lite_quality


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_evaluate_shows_every_bar_of_the_lite_encoder(data_dir: Path, tmp_path: Path) -> None:
    """Each figure with its interval; image + text beside image alone and text alone."""
    reports: dict[str, Any] = {}
    for name, (catalog, queries) in write_sets(data_dir.absolute(), tmp_path).items():
        html = tmp_path / f"{name}.html"
        done = CliRunner().invoke(
            main,
            ["evaluate", "--catalog", str(catalog), "--queries", str(queries), "--json",
             "--encoder", "lite", "--k", "1,3,5,10", "--html", str(html)],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        reports[name] = json.loads(done.stdout)["configurations"][0]["figures"]
        assert html.read_text().count("data:image/jpeg") > 20
    missed = []
    print()
    for name, least in lite_quality.BARS.items():
        bar = BARS[name]
        found = reports[bar.set][bar.group][bar.metric]
        print(f"{name:34}{found['mean']:6.3f}  {found['low']:.3f} - {found['high']:.3f}"
              f"{least:6.2f}{found['queries']:7}")  # fmt: skip
        assert found["low"] <= found["mean"] <= found["high"]
        assert found["queries"] >= 25
        if found["mean"] < least:
            missed.append(name)
    for group in ("image and text", "image only", "text only"):
        shown = reports["luma"][group]
        print(f"{group:20} recall@1 {shown['recall@1']['mean']:.3f}, "
              f"recall@5 {shown['recall@5']['mean']:.3f}")  # fmt: skip
    both = reports["luma"]["image and text"]["recall@1"]
    for alone in ("image only", "text only"):
        assert both["low"] > reports["luma"][alone]["recall@1"]["high"]
    assert missed == []
