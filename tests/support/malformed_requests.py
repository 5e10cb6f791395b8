"""Search requests that cannot be answered with hits, of many kinds, each with what it must be told.

All are made from one good request with one fault; the worker needs to know no product for them.
"""

import copy
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.malformed import put

Body = dict[str, Any]


class BadRequest(NamedTuple):
    """One request, the code and field of its refusal, and what is wrong with it."""

    request_id: str
    value: bytes
    code: str
    field: str | None
    kind: str


def good_request(request_id: str) -> Body:
    """Return a request that is answered with hits or none, but never with an error."""
    return {
        "request_id": request_id,
        "query": {
            "texts": [{"text": "red shirt", "weight": 1.0}],
            "images": [],
        },
        "mode": "search",
        "filters": {
            "category": ["Shirts"], "brand": [], "tags": [], "price_min": 1, "price_max": 9,
            "in_stock": True, "attributes": {"fit": "slim"}, "exclude": [],
        },
        "preprocess": {},
        "top_k": 5,
        "deadline_ms": 60_000,
    }  # fmt: skip


# path in the request, values that do not fit it; the path is the field that the answer must name
WRONG: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("query", (None, [], "red shirt", 5)),
    ("query.texts", (None, "red", {"text": "red"}, [{"text": "a"}] * 21)),
    ("query.texts[0]", ("red", None, 5, [])),
    ("query.texts[0].text", (5, None, "", "x" * 2001, ["red"])),
    ("query.texts[0].weight", ("1", 101, -100.5, [1], True)),
    ("query.images", (None, "http://127.0.0.1:9/a.jpg", {}, [{"data": "aa"}] * 11)),
    ("query.images[0]", ({}, {"url": None}, {"url": "http://x/", "data": "aa"}, "a", None)),
    ("query.images[0].url", (5, ["http://x/"], {}, "x" * 4097)),
    ("query.images[0].weight", ("heavy", 1000, {})),
    ("query.image", (5, [], {"url": "http://x/"})),
    ("query.text", (5, "", [], "x" * 2001)),
    ("query.similar_to", (5, "", [], {}, ["p"] * 21, "x" * 257)),
    ("query.similar_to[0]", ([5], [""], [None])),
    ("query.vector", (5, [], "0.1", [0.1] * 4097)),
    ("query.vector[0]", (["a"], [None], [[0.1]], [1e301])),
    ("mode", ("find", 5, None, "LOOK")),
    ("filters", (None, [], "Shirts")),
    ("filters.category", ("Shirts", None, {"a": 1}, ["a"] * 1001)),
    ("filters.category[0]", ([5], [None], [["a"]], ["a" * 1025])),
    ("filters.brand", ("Acme", 7, ["a"] * 5000)),
    ("filters.tags[0]", ([1.5], [{}])),
    ("filters.price_min", (-1, "cheap", [], 1e300)),
    ("filters.price_max", (-0.01, {}, "9", 1e16)),
    ("filters.in_stock", ("yes", 1, [])),
    ("filters.attributes", ([], "slim", 5, {str(n): "" for n in range(1001)}, {"a" * 1025: ""})),
    ("filters.attributes[...]", ({"fit": 5}, {"fit": None}, {"fit": ["slim"]})),
    ("filters.attributes[...]", ({"a": "b" * 65_537}, {"a": "", "fit": {}})),
    ("filters.exclude", ("p1", 5, ["p"] * 10_001)),
    ("filters.exclude[0]", ([5], [None], ["p" * 257])),
    ("top_k", (0, 1001, "ten", 1.5, None, -3)),
    ("recall_target", (0, 1.1, "high", -1)),
    ("diversity", (-0.1, 1.01, "much", [], True)),
    ("collapse_duplicates", ("yes", 1, None)),
    ("image_kind", ("photo", 5, [])),
    ("boxes", (None, {}, [0, 0, 1, 1], [{"box": [0, 0, 1, 1]}] * 21)[:2]),
    ("boxes[0]", ([[0, 0, 1, 1]], [{"box": [0.5, 0, 0.5, 1]}], [{"box": [0, 0.9, 1, 0.1]}],
                  [None])),
    ("boxes[0].box", ([{"box": [0, 0, 1]}], [{"box": "0 0 1 1"}], [{"box": [0] * 5}])),
    ("boxes[0].box[2]", ([{"box": [0, 0, 1.5, 1]}], [{"box": [0, 0, "1", 1]}])),
    ("boxes[0].category", ([{"box": [0, 0, 1, 1], "category": ""}],
                           [{"box": [0, 0, 1, 1], "category": 5}])),
    ("max_regions", (0, 21, "all", None)),
    ("preprocess", (None, [], "crops")),
    ("preprocess.crops", ("yes", 1, None)),
    ("preprocess.align", (0, "on")),
    ("deadline_ms", (0, 600_001, "soon", 1.5)),
)  # fmt: skip

UNKNOWN = (
    "topk", "query.txt", "query.texts[0].words", "filters.colour", "filters.price",
    "preprocess.crop", "explainn",
)  # fmt: skip
MISSING = ("request_id", "query", "query.texts[0].text")

# changes of the good request, the code and the field of the refusal
MEANINGLESS: tuple[tuple[Body, str, str | None], ...] = (
    ({"query": {}}, "query_empty", "query"),
    ({"query": {"texts": []}}, "query_empty", "query"),
    ({"query": {"text": " \t\n"}}, "field_invalid", "query.text"),
    ({"query": {"texts": [{"text": "a"}, {"text": "\u2003"}]}}, "field_invalid", "query.texts[1]"),
    ({"query": {"text_weight": 1}}, "field_invalid", "query.text_weight"),
    ({"query": {"similar_to": "nobody"}}, "product_unknown", "query.similar_to"),
    ({"query": {"similar_to": ["nobody", "p"]}}, "product_unknown", "query.similar_to[0]"),
    ({"query": {"vector": [0.0] * 16}}, "query_degenerate", "query.vector"),
    ({"query": {"vector": [1.0] * 15}}, "vector_invalid", "query.vector"),
    ({"query": {"texts": [{"text": "a", "weight": 2}, {"text": "a", "weight": -2}]}},
     "query_degenerate", "query"),
    ({"query": {"texts": [{"text": "a", "weight": 0}]}}, "query_degenerate", "query"),
    ({"query": {"image": "§"}}, "image_data_invalid", "query.image"),
    ({"query": {"images": [{"data": "aGVsbG8gd29ybGQ="}]}}, "image_not_an_image",
     "query.images[0]"),
    ({"query": {"image": "file:///etc/hostname"}}, "image_url_forbidden", "query.image"),
    ({"query": {"image": "http://127.0.0.1:1/x.jpg"}}, "image_unreachable", "query.image"),
    ({"filters": {"price_min": 2, "price_max": 1}}, "field_invalid", "filters"),
    ({"mode": "look"}, "field_invalid", "query"),
    ({"mode": "look", "query": {"images": [{"data": "aa"}, {"data": "bb"}]}}, "field_invalid",
     "query"),
    ({"mode": "look", "query": {"image": "aa", "similar_to": "p"}}, "field_invalid",
     "query.similar_to"),
    ({"mode": "look", "query": {"image": "aa", "vector": [1.0]}}, "field_invalid", "query.vector"),
    ({"mode": "look", "query": {"image": "aa"}, "preprocess": {"crops": True}}, "field_invalid",
     "preprocess.crops"),
    ({"boxes": [{"box": [0, 0, 1, 1]}]}, "field_invalid", "boxes"),
    ({"deadline_ms": 1}, "deadline_exceeded", None),
)  # fmt: skip


def bad_requests(n: int, seed: int) -> list[BadRequest]:
    """Return n requests, kind by kind in turn, in an order that the seed decides."""
    rng = random.Random(seed)
    kinds = itertools.cycle(list(_kinds()))
    made = []
    for number, (path, values, code, field) in zip(range(n), kinds, strict=False):
        request_id = f"bad-{number}"
        body = good_request(request_id)
        chosen = rng.choice(values)
        if path is None:
            body |= copy.deepcopy(chosen)
        elif chosen is _GONE:
            body = _without(body, path)
        else:
            body = spoilt(request_id, path, chosen)
        made.append(BadRequest(request_id, json.dumps(body).encode(), code, field,
                               f"{path or ''} {str(chosen)[:60]}"))  # fmt: skip
    rng.shuffle(made)
    return made


_GONE = object()
Kind = tuple[str | None, tuple[Any, ...], str, str | None]


def _kinds() -> Iterator[Kind]:
    for path, values in WRONG:
        yield _whole(path), values, "field_invalid", path
    for path in UNKNOWN:
        yield path, (1,), "field_unknown", path
    for path in MISSING:
        yield path, (_GONE,), "field_missing", path
    for change, code, field in MEANINGLESS:
        yield None, (change,), code, field


def spoilt(request_id: str, path: str, value: Any) -> Body:
    """Return the good request with a value at a path of `WRONG`."""
    body = _with_parents(good_request(request_id), path)
    return put(body, _whole(path).removesuffix("[...]"), value)


def _whole(path: str) -> str:
    """Return the path of the list where the values are the whole one: the good request has none."""
    listed = ("query.similar_to[", "query.vector[", "boxes[", "filters.exclude[", "filters.tags[",
              "filters.category[")  # fmt: skip
    return path.partition("[")[0] if path.startswith(listed) else path


def _with_parents(body: Body, path: str) -> Body:
    """Give the request the image that a path goes through."""
    if path.startswith("query.images[0]"):
        body["query"]["images"] = [{"url": "http://127.0.0.1:9/a.jpg"}]
    return body


def _without(body: Body, path: str) -> Body:
    body = copy.deepcopy(body)
    if path == "query.texts[0].text":
        del body["query"]["texts"][0]["text"]
    else:
        del body[path]
    return body
