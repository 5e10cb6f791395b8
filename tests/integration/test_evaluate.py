"""`visualsearch evaluate` from end to end: files in, figures and a page out, no broker."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from streams.cli import main
from tests.support.color_encoder import COLORS, ColorEncoder


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two plain images of each color, and queries by image, by word and by both."""
    monkeypatch.setattr("visualsearch.load_encoder", lambda *_, **__: ColorEncoder(), raising=False)
    catalog: list[Any] = []
    queries: list[Any] = []
    for name, color in COLORS.items():
        for number in range(2):
            shade = tuple(max(0, part - 12 * number) for part in color)
            Image.new("RGB", (96, 96), shade).save(tmp_path / f"{name}{number}.jpg")
            product = {"product_id": f"{name}{number}", "title": f"{name} {number}"}
            catalog.append(
                product | {"category": name, "images": [{"path": f"{name}{number}.jpg"}]}
            )
        both = {f"{name}0": 2, f"{name}1": 1}
        queries.append({"image": f"{name}0.jpg", "relevant": both, "groups": ["picture"]})
        queries.append({"text": name, "relevant": list(both), "groups": ["word"]})
        queries.append({"anchor": {"image": f"{name}0.jpg"}, "closer": {"product": f"{name}1"},
                        "than": [{"product": f"{n}0"} for n in COLORS if n != name]})  # fmt: skip
    catalog.append({"product_id": "broken", "title": "No picture", "images": []})
    for name, rows in (("c", catalog), ("q", queries)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def evaluate(folder: Path, *more: str) -> Result:
    """Run the command on the folder's files."""
    files = ["--catalog", str(folder / "c.jsonl"), "--queries", str(folder / "q.jsonl")]
    return CliRunner().invoke(main, ["evaluate", *files, "--encoder", "lite", *more])


def test_figures_intervals_comparison_and_page(shop: Path) -> None:
    """Two configurations on one index: with a filter of its own, one finds nothing of the rest."""
    against = shop / "only-red.json"
    against.write_text(json.dumps({"request": {"filters": {"category": ["red"]}}}))
    html = shop / "report.html"
    done = evaluate(shop, "--json", "--k", "1,2", "--against", str(against), "--html", str(html))
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    ours, theirs = report["configurations"]
    assert (ours["name"], theirs["name"], ours["products"]) == ("lite", "only-red", 8)
    assert (ours["searches"], ours["preferences"]) == (8, 4)
    for group in ("picture", "word", "all"):
        assert ours["figures"][group]["recall@2"]["mean"] == pytest.approx(1.0)
        assert theirs["figures"][group]["recall@2"]["mean"] == pytest.approx(0.25)
    assert ours["figures"]["picture"]["ndcg@2"]["mean"] == pytest.approx(1.0)
    assert ours["figures"]["all"]["preference"] == {
        "mean": 1.0, "low": 1.0, "high": 1.0, "queries": 4
    }  # fmt: skip
    assert (ours["coverage"]["mean"], theirs["coverage"]["mean"]) == (1.0, 0.25)
    found = ours["latency_ms"]["total"]
    assert 0 < found["p50"]["mean"] <= found["p95"]["mean"] <= found["p99"]["mean"]
    change = report["comparison"]["groups"]["all"]["recall@2"]
    assert change["mean"] == pytest.approx(0.75)
    assert change["better"] == 6
    page = html.read_text()
    assert "relevant, but not among the hits" in page
    assert "http" not in page
    assert page.count("data:image/jpeg") > 12


def test_tables_for_people(shop: Path) -> None:
    """With groups, intervals and the stages of the time."""
    done = evaluate(shop)
    assert done.exit_code == 0, done.output
    for word in ("picture", "ndcg@10", "coverage", "search ms p95", "preference"):
        assert word in done.output


def test_what_is_wrong_is_told_before_anything_takes_long(shop: Path) -> None:
    """A bad line by its number and field; a relevant product that is none as a note."""
    lines = (shop / "q.jsonl").read_text().splitlines()
    (shop / "q.jsonl").write_text("\n".join([*lines, '{"text": "red"}']))
    done = evaluate(shop)
    assert done.exit_code == 1
    assert f"line {len(lines) + 1}: relevant is required" in done.stderr
    (shop / "q.jsonl").write_text('{"text": "red", "relevant": ["red0", "gone"]}')
    done = evaluate(shop, "--json")
    assert done.exit_code == 0
    assert "not in the catalog" in done.stderr
    assert json.loads(done.stdout)["configurations"][0]["figures"]["all"]["recall@10"][
        "mean"
    ] == pytest.approx(0.5)


def test_a_picture_that_cannot_be_decoded_is_named_by_its_line(shop: Path) -> None:
    """It is there, so the check of the file did not see it."""
    (shop / "red0x.jpg").write_bytes(b"no picture")
    (shop / "q.jsonl").write_text('{"image": "red0x.jpg", "relevant": ["red0"]}')
    done = evaluate(shop)
    assert done.exit_code == 1
    assert "line 1: query.images[0].path" in done.stderr
