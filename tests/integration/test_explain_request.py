"""The way out, through the topics: why a product is, or is not, in an answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path as Folder
from typing import Any

import pytest_asyncio
from click.testing import CliRunner

from streams.cli import main
from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, inline, running_path
from tests.support.path_events import created
from visualsearch.contracts.explained import ProductExplanation

FILTERS: dict[str, Any] = {"category": ["Mugs"], "price_max": 20, "in_stock": True,
                           "attributes": {"color": "red"}}  # fmt: skip
MUG: dict[str, Any] = {"category": "Mugs", "price": 10, "in_stock": True,
                       "attributes": {"color": "red"}}  # fmt: skip


@pytest_asyncio.fixture
async def path(kafka: BrokerInfo, tmp_path: Folder) -> AsyncIterator[Path]:
    """Give a worker that holds eight mugs, one dear one, one of another color, and one bare."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(
            *(created(f"mug{n}", inline(n), **MUG) for n in range(8)),
            created("dear", inline(20), **(MUG | {"price": 99})),
            created("blue", inline(21), **(MUG | {"attributes": {"color": "blue"}})),
            created("bare", **MUG),
        )
        await path.settled()
        yield path


async def told(path: Path, *names: str, top_k: int = 3) -> list[ProductExplanation]:
    """Search by a mug's image and words, and ask of products."""
    image = inline(0).data
    result = await path.search(image=image, text="a mug", text_weight=0.2, filters=FILTERS,
                               top_k=top_k, explain=list(names))  # fmt: skip
    assert result.status == "ok", result.error
    assert len(result.hits) == top_k
    assert [one.product_id for one in result.explained] == list(names)
    return result.explained


async def test_each_way_of_not_being_shown_is_told_apart(path: Path) -> None:
    """Hit, outranked, filtered by one clause or by two, without images, unknown."""
    names = ("mug0", "dear", "blue", "bare", "nobody")
    hit, dear, blue, bare, nobody = await told(path, *names)
    assert (hit.status, hit.rank, hit.text) == ("hit", 1, "it is hit 1 of 3")
    assert hit.matches == 8
    for one, field in ((dear, "filters.price_max"), (blue, "filters.attributes.color")):
        assert one.status == "filtered"
        assert [verdict.field for verdict in one.filters if not verdict.passed] == [field]
        assert field in one.text
        assert len(one.filters) == 4
        assert one.score is not None
    assert (bare.status, nobody.status) == ("not_searchable", "not_searchable")
    assert "no image" in bare.text


async def test_what_pushed_a_product_out_and_what_its_score_is_made_of(path: Path) -> None:
    """Ranks are those of the whole answer; contributions add up to scores."""
    every = await told(path, *(f"mug{n}" for n in range(8)), top_k=8)
    assert sorted(one.rank or 0 for one in every) == list(range(1, 9))
    ranks = {one.product_id: one.rank for one in every}
    few = await told(path, *(f"mug{n}" for n in range(8)), top_k=3)
    for one in few:
        assert one.rank == ranks[one.product_id]
        assert {part.field for part in one.parts} == {"query.image", "query.text"}
        assert one.score is not None
        assert abs(sum(part.contribution for part in one.parts) - one.score) < 1e-3
        if (one.rank or 9) <= 3:
            assert one.status == "hit"
            continue
        assert one.status == "outranked"
        assert one.pushed_out_by is not None
        assert ranks[one.pushed_out_by.product_id] == 3
        assert one.pushed_out_by.score >= one.score
        assert f"number {one.rank} of 8 products" in one.text


async def test_every_hit_explains_itself_on_request(path: Path) -> None:
    """Rank, clauses and parts; nothing where it is not asked for."""
    result = await path.search(text="a mug", filters=FILTERS, explain=True)
    assert [hit.explain.rank for hit in result.hits if hit.explain] == list(range(1, 9))
    for hit in result.hits:
        assert hit.explain is not None
        assert [one.passed for one in hit.explain.filters] == [True] * 4
        (part,) = hit.explain.parts
        assert abs(part.contribution - hit.score) < 1e-3
    assert result.explained == []
    plain = await path.search(text="a mug")
    assert all(hit.explain is None for hit in plain.hits)
    refused = await path.search(text="a mug", explain=["x"] * 21)
    assert refused.error is not None
    assert refused.error.field == "explain"


async def test_the_command(path: Path, tmp_path: Folder) -> None:
    """A request as a file; for people and for machines; what is wrong with it by field."""
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"query": {"text": "a mug"}, "filters": FILTERS, "top_k": 2}))

    def run(*more: str, name: str = "dear") -> Any:
        return CliRunner().invoke(
            main,
            ["explain", name, "--request", str(file), "--bootstrap", path.settings.bootstrap,
             "--prefix", path.settings.topic_prefix, *more],
        )  # fmt: skip

    done = await asyncio.to_thread(run)
    assert done.exit_code == 0, done.output
    assert "filters.price_max wants at most 20, and it has 99" in " ".join(done.output.split())
    told = json.loads((await asyncio.to_thread(run, "--json", name="mug3")).stdout)
    assert told["product_id"] == "mug3"
    assert told["matches"] == 8
    file.write_text('{"query": {"text": "a"}, "top_k": 0}')
    done = await asyncio.to_thread(run)
    assert done.exit_code == 1
    assert "top_k" in done.output
