"""What a good search request gets: hits that match, in order, and how they came about."""

import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from tests.support.fakes import unit
from tests.support.harness import Path, inline, picture, running_path
from tests.support.path_events import created
from tests.support.pictures import PictureHost
from visualsearch.contracts.search import Preprocess, SearchFilters

pytestmark = pytest.mark.asyncio(loop_scope="module")
COLORS = ("red", "green", "blue")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[PictureHost]:
    """Give an image host."""
    async with PictureHost() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker that knows thirty products."""
    async with running_path(kafka.bootstrap, tmp_path_factory.mktemp("answers")) as path:
        await path.publish(*(
            created(f"p{n}", inline(n), title=f"Thing {n}", category=COLORS[n % 3],
                    brand="Acme" if n % 2 else "Apex", tags=["all", f"t{n % 5}"],
                    attributes={"size": "L" if n < 10 else "S"}, price=float(n), currency="EUR",
                    in_stock=n % 3 == 0)
            for n in range(30)
        ))  # fmt: skip
        await path.settled()
        yield path


def image(number: int) -> str:
    """Return an image as base64."""
    return base64.b64encode(picture(number)).decode()


@pytest.mark.parametrize("what", ["lighting", "background", "crops"])
async def test_a_photo_may_be_preprocessed(path: Path, what: str) -> None:
    """Each way answers, with words and filters beside it; by crops the whole counts as well."""
    wanted = Preprocess(**{what: True})
    result = await path.search(
        image=image(7), text="Thing", top_k=5, preprocess=wanted,
        filters=SearchFilters(category=["green"]),
    )  # fmt: skip
    assert result.status == "ok", result.error
    assert len(result.hits) == 5
    assert {hit.category for hit in result.hits} == {"green"}
    assert result.plan is not None
    assert result.plan.matches == 10
    if what != "lighting":  # of one color: no subject to cut out, and one view is the whole
        by_photo = await path.search(image=image(7), top_k=1, preprocess=wanted)
        assert by_photo.hits[0].product_id == "p7"


async def test_a_photo_that_is_none_is_told_as_without(path: Path) -> None:
    """The same code and field."""
    words = base64.b64encode(b"no picture").decode()
    result = await path.search(image=words, preprocess=Preprocess(crops=True))
    assert result.error is not None
    assert (result.error.code, result.error.field) == ("image_not_an_image", "query.image")


async def test_an_answer_says_how_it_came_about(path: Path) -> None:
    """Plan, times, index, shards, and what served it."""
    result = await path.search("full", image=image(7), text="Thing", top_k=5)
    assert (result.request_id, result.status, result.error) == ("full", "ok", None)
    assert result.plan is not None
    assert (result.plan.strategy, result.plan.matches) == ("exact", 30)
    assert result.plan.selectivity == 1.0
    assert result.served_by == "exact"
    assert result.index is not None
    assert (result.index.products, result.index.vectors, result.index.model) == (30, 30, "fake")
    assert result.index.watermark is not None
    assert abs(result.index.watermark.timestamp() - time.time()) < 60
    assert (result.shards.answered, result.shards.total) == (1, 1)
    took = result.took_ms
    assert 0 < took.search <= took.total
    assert 0 < took.embed <= took.total
    assert took.fetch + took.embed + took.search <= took.total + 0.01
    scores = [hit.score for hit in result.hits]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"category": ["red"]}, lambda n: n % 3 == 0),
    ({"category": ["red", "blue"]}, lambda n: n % 3 != 1),
    ({"brand": ["Acme"], "in_stock": True}, lambda n: n % 2 and n % 3 == 0),
    ({"tags": ["all", "t2"]}, lambda n: n % 5 == 2),
    ({"price_min": 10, "price_max": 12}, lambda n: 10 <= n <= 12),
    ({"attributes": {"size": "L"}, "exclude": ["p0", "p1"]}, lambda n: 2 <= n < 10),
    ({"in_stock": False}, lambda n: n % 3 != 0),
    ({"category": ["mauve"]}, lambda _: False),
]


@pytest.mark.parametrize("top_k", [3, 1000])
async def test_filters_are_exact_and_never_short(path: Path, top_k: int) -> None:
    """Only matching products, and min(top_k, matches) of them."""
    for filters, holds in FILTERS:
        wanted = {f"p{n}" for n in range(30) if holds(n)}
        result = await path.search(text="thing", filters=filters, top_k=top_k)
        found = [hit.product_id for hit in result.hits]
        assert set(found) <= wanted, filters
        assert len(found) == len(set(found)) == min(top_k, len(wanted)), filters
        assert result.plan is not None
        assert result.plan.matches == len(wanted), filters


async def test_every_kind_of_query_finds_what_it_asks_for(path: Path, host: PictureHost) -> None:
    """By vector, by product, by image by URL, by several with weights, some negative."""
    by_url = await path.search(image=host.put("p9.jpg", picture(9)), top_k=1)
    assert by_url.hits[0].product_id == "p9"
    alike = await path.search(similar_to="p4", top_k=30)
    assert {hit.product_id for hit in alike.hits} == {f"p{n}" for n in range(30)} - {"p4"}
    large = [float(x) * 1e300 for x in unit("x")]
    small = [float(x) for x in unit("x")]
    first, second = await path.search(vector=large), await path.search(vector=small)
    assert [h.product_id for h in first.hits] == [h.product_id for h in second.hits]
    images = [{"data": image(5), "weight": 2.0}, {"data": image(6), "weight": -1.0}]
    result = await path.search(images=images, top_k=30)
    ranked = [hit.product_id for hit in result.hits]
    assert ranked[0] == "p5"
    assert ranked.index("p6") > 15
