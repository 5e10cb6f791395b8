"""The file of queries: what it may hold, and what is said of a line that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.tools.evaluation.configuration import (
    Configuration,
    ConfigurationError,
    read_configuration,
)
from streams.tools.evaluation.queries import QueriesError, read_queries, to_request
from tests.support.fakes import jpeg

GOOD = {"text": "red mug", "relevant": ["a"]}


def written(folder: Path, *lines: Any) -> Path:
    """Write a file of queries, one image beside it."""
    (folder / "red.jpg").write_bytes(jpeg((200, 0, 0)))
    path = folder / "q.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def test_shorthands_grades_groups_and_overrides(tmp_path: Path) -> None:
    """A line becomes the request that an app would send."""
    queries = read_queries(
        written(
            tmp_path,
            {"image": "red.jpg", "text": "mug", "relevant": {"a": 3, "b": 1}, "groups": ["g"],
             "filters": {"category": ["Mugs"]}, "top_k": 7},
            "",
            {"anchor": {"image": "red.jpg"}, "closer": {"product": "a"}, "than": [{"text": "x"}]},
        )
    )  # fmt: skip
    (search,), (preference,) = queries.searches, queries.preferences
    assert (search.line, search.grades, search.groups) == (1, {"a": 3.0, "b": 1.0}, ("g",))
    assert (preference.line, preference.closer.product) == (3, "a")
    overrides = {"filters": {"in_stock": True}, "preprocess": {"crops": True}}
    request = to_request(search, queries.folder, depth=5, overrides=overrides)
    assert request.query.text == "mug"
    assert request.query.images[0].data is not None
    assert (request.filters.category, request.filters.in_stock) == (["Mugs"], True)
    assert request.preprocess.crops
    assert request.top_k == 7
    assert to_request(search, queries.folder, depth=50, overrides={}).top_k == 50


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ({"text": "a"}, "relevant is required"),
        ({"text": "a", "relevant": []}, "relevant"),
        ({"text": "a", "relevant": {"p": 0}}, "relevant"),
        ({"text": "a", "relevant": {"p": "high"}}, "relevant"),
        ({"relevant": ["p"]}, "query"),
        ({"query": 3, "relevant": ["p"]}, "query"),
        ({"image": "gone.jpg", "relevant": ["p"]}, "query.images[0].path"),
        ({"image": 7, "relevant": ["p"]}, "query.images[0].path"),
        ({"images": "red.jpg", "relevant": ["p"]}, "images"),
        ({"query": {"images": [{"path": "red.jpg", "url": "http://a/"}]}, "relevant": ["p"]},
         "query.images[0]"),
        ({"text": "a", "relevant": ["p"], "filter": {}}, "filter is not known"),
        ({"text": "a", "relevant": ["p"], "filters": {"price_min": -1}}, "filters.price_min"),
        ({"text": "a", "relevant": ["p"], "top_k": 0}, "top_k"),
        ({"anchor": {"text": "a"}, "closer": {"text": "b"}}, "than is required"),
        ({"anchor": {"text": "a"}, "closer": {"text": "b"}, "than": []}, "than"),
        ({"anchor": {"text": "a", "image": "red.jpg"}, "closer": {"text": "b"},
          "than": [{"text": "c"}]}, "anchor"),
        ({"anchor": {"image": "no.jpg"}, "closer": {"text": "b"}, "than": [{"text": "c"}]},
         "anchor.image"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: Any, said: str) -> None:
    """The second line of three."""
    with pytest.raises(QueriesError) as caught:
        read_queries(written(tmp_path, GOOD, line, GOOD))
    assert "line 2: " in str(caught.value)
    assert said in str(caught.value)
    assert "line 1" not in str(caught.value)


def test_many_bad_lines_are_told_together(tmp_path: Path) -> None:
    """The first ten by number, the others counted."""
    with pytest.raises(QueriesError, match=r"line 1:(.|\n)*line 10:(.|\n)*and 3 more"):
        read_queries(written(tmp_path, *[{"text": "a"}] * 13))


def test_a_file_without_queries_is_refused(tmp_path: Path) -> None:
    """Empty, or not there."""
    for path in (written(tmp_path, ""), tmp_path / "none.jsonl"):
        with pytest.raises(QueriesError):
            read_queries(path)


def test_configurations(tmp_path: Path) -> None:
    """By file, or by the name of an encoder."""
    base = Configuration("lite", recall_target=0.9)
    other = read_configuration("open_clip:ViT-B-32/random", base)
    assert (other.encoder, other.recall_target) == ("open_clip:ViT-B-32/random", 0.9)
    assert other.index_key != base.index_key
    path = tmp_path / "crops.json"
    path.write_text('{"request": {"preprocess": {"crops": true}}}')
    found = read_configuration(str(path), base)
    assert (found.name, found.encoder, found.index_key) == ("crops", "lite", base.index_key)
    for wrong in ("{", "[]", '{"encodr": 1}', '{"request": 1}', '{"request": {"topk": 1}}'):
        path.write_text(wrong)
        with pytest.raises(ConfigurationError, match=r"crops\.json"):
            read_configuration(str(path), base)
