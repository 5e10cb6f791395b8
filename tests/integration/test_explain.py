"""`visualsearch explain` in each state of a product, and the worker's own word on it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as Folder
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from tests.support.commands import Commands
from tests.support.harness import (
    Path,
    inline,
    make_settings,
    make_topics,
    path_of,
    running_path,
)
from tests.support.path_events import created, deleted, offer, updated
from tests.support.pictures import PictureHost
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.events import ImageSource, encode_event

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker that has met a product in each state."""
    folder = tmp_path_factory.mktemp("explain")
    async with PictureHost() as host, running_path(kafka.bootstrap, folder) as path:
        missing = ImageSource(url=host.url("/status/404"))
        await path.publish(
            created("shirt", inline(1), title="Shirt", price=5.0),
            created("part", inline(2), missing),
            created("failed", missing),
            created("stale", inline(3)),
            created("gone", inline(4)),
            offer("offered", price=1.0),
            created("bare"),
        )
        await path.settled()
        await path.publish(updated("stale", missing), deleted("gone"), offer("shirt", price=4.0))
        await path.publish_raw(b"broken", b"{")
        await path.settled()
        yield path


async def explain(path: Path, *arguments: str, status: int = 0) -> Any:
    """Run `visualsearch explain … --json` in a process of its own."""
    shell = Commands(path.settings, path.url)
    return await asyncio.to_thread(
        lambda: shell.json("explain", *arguments, "--http", path.url, status=status)
    )


@pytest.mark.parametrize(
    ("product_id", "code", "text"),
    [
        ("shirt", "searchable", "searchable"),
        ("part", "searchable_in_part", "1 of its 2 images failed: image_http_404 (dead letter"),
        ("failed", "failed", "not searchable: its images failed: image_http_404 (dead letter 0@"),
        ("stale", "searchable_outdated", "with its former images, the new ones failed: image_"),
        ("gone", "deleted", "deleted by product-deleted event "),
        ("offered", "no_product_event", "only offers came"),
        ("bare", "no_pictures", "has no images"),
        ("broken", "failed", "was not used: not_json (dead letter 0@"),
    ],
)
async def test_each_state_has_its_verdict(
    path: Path, product_id: str, code: str, text: str
) -> None:
    """From the topics, the pipelines' offsets and the worker's index together."""
    told = await explain(path, product_id)
    assert told["verdict"]["code"] == code, told
    assert text in told["verdict"]["text"]


async def test_what_nobody_published_is_unknown(path: Path) -> None:
    """Exit status 1, and the topics that were read."""
    told = await explain(path, "nobody", status=1)
    assert told["verdict"]["code"] == "unknown"
    assert path.topics.product_events in told["verdict"]["text"]
    assert told["worker"]["known"] is False


async def test_all_that_was_found_is_told(path: Path) -> None:
    """Events as they were read, the newest record of each kind, and the state in the index."""
    told = await explain(path, "shirt")
    (found,) = told["events"].values()
    assert (found["count"], [e["type"] for e in found["latest"]]) == (
        2, ["product-created", "product-offer-updated"],
    )  # fmt: skip
    first, second = found["latest"]
    records = told["records"]
    assert records["base"]["source"] == records["vectors"]["source"] == first["source"]
    assert records["offer"]["source"] == second["source"]
    assert records["vectors"]["order"] == first["order"]
    assert (records["vectors"]["model"], records["vectors"]["images"]) == ("fake", 1)
    assert records["base"]["event_id"] == first["event_id"]
    assert told["dead_letters"] == []
    assert told["worker"]["orders"]["offer"] == second["order"]
    where = second["source"].rpartition("@")[0]
    assert told["committed"]["embedding"][where] > second["offset"]


async def test_people_get_tables_and_the_verdict_last(path: Path) -> None:
    """One line to read at the end, in words."""
    shell = Commands(path.settings, path.url)
    shown = await asyncio.to_thread(lambda: shell.run("explain", "failed", "--http", path.url))
    assert "its images failed: image_http_404" in shown.stdout.splitlines()[-1]
    assert "product-created" in shown.stdout


async def test_time_limit_and_other_partitioners(path: Path) -> None:
    """--since hides what is older; --all-partitions finds what murmur2 does not."""
    told = await explain(path, "shirt", "--since", "2099-01-01")
    assert (told["events"], told["verdict"]["code"]) == ({}, "searchable")
    elsewhere = 1 - partition_of("other", 2)
    value = encode_event(created("other", inline(5)))
    await path.publish_raw(b"other", value, partition=elsewhere)
    await path.settled()
    assert (await explain(path, "other"))["events"] == {}
    told = await explain(path, "other", "--all-partitions")
    assert (len(told["events"]), told["verdict"]["code"]) == (1, "searchable")


async def test_without_a_worker_the_log_speaks(path: Path) -> None:
    """The rest is told all the same."""
    shell = Commands(path.settings, path.url)
    told = await asyncio.to_thread(
        lambda: shell.json("explain", "shirt", "--http", "http://127.0.0.1:1")
    )
    assert told["verdict"]["code"] == "not_asked"
    assert "127.0.0.1:1" in told["worker"]["error"]


async def test_a_worker_tells_the_state_of_a_product(path: Path) -> None:
    """404 as JSON for a stranger; a name may hold a slash."""
    await path.publish(created("a/b ö", inline(6), title="Odd"))
    await path.settled()
    async with aiohttp.ClientSession(path.url) as http:

        async def state(product_id: str, status: int = 200) -> Any:
            async with http.get(f"/v1/products/{quote(product_id, safe='')}") as response:
                assert response.status == status
                return await response.json()

        odd = await state("a/b ö")
        assert (odd["base"]["title"], odd["searchable"], odd["why"]) == ("Odd", True, None)
        assert [image["image_id"] for image in odd["images"]] == ["0"]
        assert odd["orders"]["base"] == odd["orders"]["vectors"]
        assert (await state("shirt"))["offer"]["price"] == 4.0
        assert (await state("gone"))["why"] == "deleted"
        assert (await state("failed"))["why"] == "no_vectors"
        assert (await state("offered"))["why"] == "no_base"
        nobody = await state("nobody", 404)
        assert (nobody["known"], nobody["why"], nobody["model"]) == (False, "unknown", "fake")


async def test_a_late_product_names_the_pipeline_and_its_offset(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """No pipeline runs at all; later the embedding pipeline waits for a host that hangs."""
    settings = make_settings(kafka.bootstrap, tmp_path, fetch_timeout_s=120.0)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings, frozenset({"search"})) as path:
        await path.publish(created("late", inline(7)))
        told = await explain(path, "late")
        assert told["verdict"]["code"] == "late"
        assert "the attribute pipeline has not reached" in told["verdict"]["text"]
        assert "(committed nothing" in told["verdict"]["text"]
    async with path_of(settings) as path, PictureHost() as host:
        await path.settled()
        assert (await explain(path, "late"))["verdict"]["code"] == "searchable"
        await path.publish(updated("late", ImageSource(url=host.url("/slow/x.jpg"))))
        await path.caught_up("attributes")
        told = await explain(path, "late")
        assert "the embedding pipeline has not reached" in told["verdict"]["text"], told["verdict"]
