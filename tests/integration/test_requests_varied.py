"""Trees, hints, near-duplicates, diversity, kinds of images and looks, all by the topics."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from streams.tools.broker import BrokerInfo
from tests.support.commands import Commands
from tests.support.detectors import random_checkpoint
from tests.support.fakes import unit
from tests.support.harness import Path, inline, picture, running_path
from tests.support.path_events import created
from visualsearch.contracts.search import (
    LookBox,
    Preprocess,
    QuerySpec,
    QueryText,
    SearchFilters,
    SearchRequest,
    SearchResult,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
COLOURS = ("Red", "Navy Blue", "Green")
CATEGORIES = ("Women/Dresses/Midi", "Women/Shoes", "Men/Shoes", "Home")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker that knows forty products: twelve styles in three colors, four alone.

    The colors of a style have one image, or the fake encoder would see nothing alike.
    """
    async with running_path(kafka.bootstrap, tmp_path_factory.mktemp("varied")) as path:
        await path.publish(*(
            created(f"s{style}-{n}", inline(style), title=f"Style{style} Thing, {colour}",
                    brand="Acme", category=CATEGORIES[style % 4], price=float(style),
                    in_stock=n == 0, attributes={"color": colour})
            for style in range(12) for n, colour in enumerate(COLOURS)
        ), *(
            created(f"alone{n}", inline(100 + n), inline(200 + n, kind="lifestyle"),
                    title=f"Alone {n}")
            for n in range(4)
        ))  # fmt: skip
        await path.settled()
        yield path


def image(number: int) -> str:
    """Return an image as base64."""
    return base64.b64encode(picture(number)).decode()


def side_by_side(*numbers: int) -> str:
    """Return an image that shows several others beside each other, exactly, as base64."""
    parts = [np.asarray(Image.open(io.BytesIO(picture(number)))) for number in numbers]
    out = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def names(result: SearchResult) -> list[str]:
    """Return the products of an answer that is one."""
    assert result.status == "ok", result.error
    return [hit.product_id for hit in result.hits]


async def test_a_category_is_a_tree(path: Path) -> None:
    """By a prefix of whole steps: women's things, then their shoes."""
    for wanted, styles in ((["Women"], {0, 1, 4, 5, 8, 9}), (["Women/Shoes", "Home"],
                           {1, 5, 9, 3, 7, 11}), (["Women/Dresses"], {0, 4, 8})):  # fmt: skip
        result = await path.search(text="x", filters=SearchFilters(category=wanted), top_k=100)
        assert {name.split("-")[0] for name in names(result)} == {f"s{n}" for n in styles}
        assert result.hints == []


async def test_an_unknown_name_is_answered_with_close_ones(path: Path) -> None:
    """Not an error: no hits, and for each culprit what it may have been meant to be."""
    filters = SearchFilters(
        category=["Women/Dreses"], brand=["acme", "Acme"], attributes={"color": "Read"}
    )
    result = await path.search(text="x", filters=filters)
    assert names(result) == []
    assert [(hint.field, hint.value) for hint in result.hints] == [
        ("filters.category[0]", "Women/Dreses"), ("filters.brand[0]", "acme"),
        ("filters.attributes.color", "Read")]  # fmt: skip
    closest = [hint.close[0] for hint in result.hints]
    assert closest == ["Women/Dresses", "Acme", "Red"]


@pytest.mark.parametrize("top_k", [5, 16, 100])
async def test_near_duplicates_are_one_hit(path: Path, top_k: int) -> None:
    """Forty products are sixteen things; no answer is short of those."""
    result = await path.search(image=image(3), collapse_duplicates=True, top_k=top_k)
    found = names(result)
    assert len(found) == min(top_k, 16)
    assert {name.split("-")[0] for name in found} <= {f"s{n}" for n in range(12)} | {
        f"alone{n}" for n in range(4)}  # fmt: skip
    first = result.hits[0]
    assert {first.product_id, *(each.product_id for each in first.variants)} == {
        "s3-0", "s3-1", "s3-2"}  # fmt: skip
    assert {each.attributes["color"] for each in first.variants} <= set(COLOURS)
    assert result.plan is not None
    assert result.plan.matches == 40


@pytest.mark.parametrize("collapse", [False, True])
async def test_diversity_is_never_short(path: Path, collapse: bool) -> None:
    """With filters, crops and collapse beside it; the best one stays first."""
    result = await path.search(
        image=image(4), diversity=0.7, collapse_duplicates=collapse, top_k=9,
        filters=SearchFilters(category=["Women"]), preprocess=Preprocess(crops=True),
    )  # fmt: skip
    found = names(result)
    assert len(found) == len(set(found)) == (6 if collapse else 9)
    assert found[0].startswith("s4-")
    assert len({name.split("-")[0] for name in found}) == 6  # all the styles that there are


async def test_several_products_and_unlike(path: Path) -> None:
    """Like two products, neither an answer; a product may have a negative text beside it."""
    both = await path.search(similar_to=["s1-0", "alone2"], top_k=100)
    assert not {"s1-0", "alone2"} & set(names(both))
    assert set(names(both)[:2]) == {"s1-1", "s1-2"}
    texts = [QueryText("a"), QueryText("b", weight=-1.0)]
    mixed = await path.search(similar_to=["s1-0"], texts=texts, vector=unit("v").tolist())
    assert len(names(mixed)) == 20


async def test_kinds_of_pictures_together_and_apart(path: Path) -> None:
    """Only products with such an image, by that image."""
    apart = await path.search(image=image(201), image_kind="lifestyle", top_k=10)
    assert names(apart)[0] == "alone1"
    assert set(names(apart)) == {f"alone{n}" for n in range(4)}
    together = await path.search(image=image(201), top_k=100)
    assert len(names(together)) == 40
    catalogue = await path.search(image=image(201), image_kind="catalog", top_k=100)
    assert catalogue.hits[0].score < 0.99 < together.hits[0].score


async def test_alignment_needs_pictures_to_know_from(path: Path) -> None:
    """Four lifestyle images say nothing of what such have in common: an error with advice."""
    result = await path.search(image=image(1), preprocess=Preprocess(align=True))
    assert result.error is not None
    assert (result.error.code, result.error.field) == ("alignment_unknown", "preprocess.align")


async def test_a_look_at_given_boxes(path: Path) -> None:
    """Each box is searched in its category and within the filters; one list for each, and for all.

    The boxes of the answer are those of the request; a shared product would stand further up.
    """
    boxes = [LookBox(box=[0, 0, 0.5, 1], category="Women"), LookBox(box=[0.5, 0, 1, 1],
                                                                   category="Home")]  # fmt: skip
    result = await path.search(
        image=side_by_side(4, 7), mode="look", boxes=boxes, top_k=2,
        filters=SearchFilters(in_stock=True, price_max=8),
    )  # fmt: skip
    assert result.regions is not None
    assert [(region.box, region.category) for region in result.regions] == [
        ([0, 0, 0.5, 1], "Women"), ([0.5, 0, 1, 1], "Home")]  # fmt: skip
    first, second = result.regions
    assert first.hits[0].product_id == "s4-0"
    assert second.hits[0].product_id == "s7-0"
    assert first.hits[0].score > 0.99
    assert {hit.product_id for hit in first.hits} <= {"s0-0", "s1-0", "s4-0", "s5-0", "s8-0"}
    assert {hit.product_id for hit in second.hits} == {"s3-0", "s7-0"}
    assert names(result) == ["s4-0", "s7-0"] or names(result) == ["s7-0", "s4-0"]
    assert second.plan is not None
    assert second.plan.matches == 2
    assert result.plan is None
    assert path.metric("search_requests_total", mode="look", outcome="ok") >= 1


async def test_a_look_finds_its_own_regions(path: Path) -> None:
    """At most as many as asked for, each with min(top_k, matches) hits; words may come along."""
    result = await path.search(
        image=side_by_side(*range(8)), text="red", mode="look", max_regions=3, top_k=4,
        collapse_duplicates=True, diversity=0.2, deadline_ms=60_000,
    )  # fmt: skip
    assert result.regions
    assert len(result.regions) <= 3
    for region in result.regions:
        assert region.plan is not None
        assert 0 < len(region.hits) <= 4
        left, top, right, bottom = region.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    assert len(names(result)) == 4


async def test_a_look_for_what_is_not_there(path: Path) -> None:
    """Boxes of other things than the filter asks for are left out; an unknown one is hinted at."""
    boxes = [LookBox(box=[0, 0, 0.5, 1], category="Home")]
    for category, close in (("Men", None), ("Woman", "Women")):
        result = await path.search(
            image=side_by_side(4, 7), mode="look", boxes=boxes,
            filters=SearchFilters(category=[category]),
        )  # fmt: skip
        assert names(result) == []
        assert result.regions == []
        assert [hint.close[0] for hint in result.hints] == ([close] if close else [])


async def test_a_look_by_a_checkpoint(
    kafka: BrokerInfo, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torchvision detector named by the settings finds the regions, by labels of its map."""
    monkeypatch.setattr("visualsearch.search.look.checkpoint.CONFIDENT", 0.0)
    model, labels = await asyncio.to_thread(random_checkpoint, tmp_path)
    async with running_path(
        kafka.bootstrap, tmp_path, look_checkpoint=model, look_labels=labels
    ) as path:
        await path.publish(
            *(created(f"p{n}", inline(n), category=("dress", "bag")[n % 2]) for n in range(4))
        )
        await path.settled()
        result = await path.search(
            image=side_by_side(*range(4)), mode="look", top_k=4, deadline_ms=120_000
        )
        assert result.regions
        for region in result.regions:
            assert region.category in {"dress", "bag"}
            assert {hit.category for hit in region.hits} == {region.category}
            assert len(region.hits) == 2


async def test_the_command_line_says_it_all(path: Path, tmp_path: Any) -> None:
    """The options of `visualsearch search` become one request; the answer is told in tables."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(base64.b64decode(side_by_side(3, 3)))
    run = Commands(path.settings, path.url).run
    options = ["--top-k", "2", "--deadline-ms", "60000"]
    done = await asyncio.to_thread(
        run, "search", "--like", "s1-0", "--like", "s2-0", "--unlike", "blue", "--collapse",
        "--diversity", "0.2", "--category", "Women", *options,
    )  # fmt: skip
    assert "variants" in done.stdout
    look = await asyncio.to_thread(
        run, "search", "--image", str(photo), "--look", "--max-regions", "2", *options,
        "--html", str(tmp_path / "page.html"), "--http", path.url,
    )  # fmt: skip
    assert " regions" in look.stdout
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg") > 2  # the photo and the hits of its regions
    none = await asyncio.to_thread(run, "search", "--text", "x", "--category", "Home1")
    assert "close: Home" in none.stdout


async def test_a_request_survives_its_encoding(path: Path) -> None:
    """What the client publishes is what the worker reads, new fields too."""
    from msgspec import json

    request = SearchRequest(
        request_id="r", query=QuerySpec(similar_to=["a"]), mode="look", diversity=0.5,
        boxes=[LookBox(box=[0.0, 0.0, 1.0, 1.0])], preprocess=Preprocess(align=True),
    )  # fmt: skip
    assert json.decode(json.encode(request), type=SearchRequest) == request
