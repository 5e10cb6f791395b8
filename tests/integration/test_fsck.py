"""`visualsearch fsck` on a running path: clean when it is, and every planted damage named."""

import asyncio
from collections.abc import Callable
from pathlib import Path as Folder
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.tools.broker import BrokerInfo
from streams.tools.fsck.check import Check, Options
from streams.tools.fsck.report import Report
from streams.tools.fsck.worker import WorkerClient
from tests.support.fakes import unit
from tests.support.harness import (
    Path,
    inline,
    make_settings,
    make_topics,
    path_of,
    picture,
    running_path,
)
from tests.support.path_events import created, deleted, offer, updated
from tests.support.pictures import PictureHost
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.events import ImageSource
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    LogImageVector,
    OfferLogRecord,
    VectorsLogRecord,
    encode_record,
    record_key,
)


class Silent:
    """A display that shows nothing."""

    def step(self, *_: object) -> Callable[[int], None]:
        """Begin a step."""
        return lambda _: None


async def fsck(path: Path, **options: Any) -> Report:
    """Check the path's worker with all of its vectors."""
    chosen = Options(**({"sample": None, "wait_s": 60.0} | options))
    check = Check(path.settings, WorkerClient(path.url), lambda: path.encoder, chosen, Silent())
    return await asyncio.to_thread(check.run)


def named(report: Report) -> dict[str, list[str | None]]:
    """Return the products of each category that has findings."""
    return {
        category: sorted((finding.product_id or "") for finding in found)
        for category, found in report.findings.items()
        if found
    }


async def plant(path: Path, product_id: str, *records: IndexRecord) -> None:
    """Write records straight into the index log, as no lane ever would."""
    await path.producer.send(
        OutgoingMessage(
            path.topics.index_log,
            record_key(record.__struct_config__.tag, product_id),  # type: ignore[arg-type]
            encode_record(record),
            partition=partition_of(product_id, 2),
        )
        for record in records
    )


def image(seed: str, image_id: str = "0", url: str = "blob:00") -> LogImageVector:
    """Return an image with a vector of its own."""
    vector = unit(seed).astype("<f2").tobytes()
    return LogImageVector(image_id=image_id, vector=vector, url=url, content_hash="")


async def catalogue(path: Path, host: PictureHost) -> None:
    """Publish all that events can say: changes, deletes, faults, and images of every origin."""
    await path.publish(
        *(created(f"p{n}", inline(n), price=float(n), tags=["x"]) for n in range(6)),
        created("url", ImageSource(url=host.put("a.jpg", picture(100))), inline(101)),
        created("half", inline(102), ImageSource(url=host.url("/status/404"))),
        created("none", ImageSource(url=host.url("/status/410"))),
        created("bare"),
        updated("p1", inline(1), inline(11, image_id="back", kind="lifestyle"), title="New"),
        offer("p2", price=99.0, currency="EUR", in_stock=False),
        offer("unseen", price=1.0),
        deleted("p3"),
        deleted("p4"),
        created("p4", inline(44)),
        updated("p5", ImageSource(url=host.url("/status/404"))),
    )
    await path.publish(deleted("p0"), topic=path.topics.product_deleted)
    await path.publish_raw(b"p", b"{")
    await path.publish_raw(b"gone", None)


async def test_a_path_in_order_is_clean_and_each_planted_damage_is_named(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """A lost product, two resurrected ones, stale attributes and a stale vector."""
    async with running_path(kafka.bootstrap, tmp_path) as path, PictureHost() as host:
        await catalogue(path, host)
        clean = await fsck(path)
        assert (clean.status, named(clean)) == (0, {})
        # p1 p2 p4 p5 url half; "p5" keeps the image of before its update
        assert (clean.expected, clean.served, clean.events) == (6, 6, 20)
        assert clean.images_compared == 8
        state = path.engine.product("p2")
        later = (state.base.order[0] + 5_000, 0, 0)
        await plant(path, "p1", BaseLogRecord(order=later, deleted=True))
        await plant(path, "p2", VectorsLogRecord(order=state.vectors_order, model="fake",
                                        images=[image("another picture")]))  # fmt: skip
        await plant(path, "p4", OfferLogRecord(order=later, price=0.01))
        ghost = (BaseLogRecord(order=later, title="Ghost"),
                 VectorsLogRecord(order=later, model="fake", images=[image("ghost")]))  # fmt: skip
        await plant(path, "p3", *ghost)
        await plant(path, "ghost", *ghost)
        found = await fsck(path)
        assert found.status == 1
        assert named(found) == {
            "lost": ["p1"],
            "resurrected": ["ghost", "p3"],
            "stale": ["p4"],
            "wrong_vectors": ["p2"],
        }
        (lost,) = found.findings["lost"]
        events = path.topics.product_events
        assert (lost.source or "").startswith(events), lost
        assert "deleted" in lost.detail
        by_name = {x.product_id: x for x in found.findings["resurrected"]}
        assert by_name["ghost"].source is None
        assert (by_name["p3"].source or "").startswith(events)
        assert "no event created it" in by_name["ghost"].detail
        few = await fsck(path, sample=0)
        assert "wrong_vectors" not in named(few)


async def test_beside_live_traffic_nothing_is_called_wrong(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Products that change while they are looked at are unchecked at most."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(*(created(f"p{n}", inline(n)) for n in range(20)))
        done = asyncio.Event()

        async def traffic() -> int:
            count = 0
            while not done.is_set():
                name = f"p{count % 10}"
                whole = created if count % 2 else updated
                kinds = (offer(name, price=1.0), deleted(name), whole(name, inline(count % 200)))
                await path.publish(kinds[count % 3])
                count += 1
            return count

        busy = asyncio.create_task(traffic())
        try:
            reports = [await fsck(path) for _ in range(3)]
        finally:
            done.set()
        assert await busy > 30
        for report in reports:
            assert report.status == 0, named(report)
            assert report.images_compared >= 10  # of those that nobody changed


async def test_changed_and_vanished_pictures_are_unchecked_not_wrong(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """The log tells which bytes were indexed; a host that is gone tells nothing."""
    async with running_path(kafka.bootstrap, tmp_path) as path, PictureHost() as host:
        urls = {name: host.put(f"{name}.jpg", picture(n)) for n, name in enumerate("abc")}
        await path.publish(*(created(name, ImageSource(url=url)) for name, url in urls.items()))
        assert (await fsck(path)).images_compared == 3
        host.put("a.jpg", picture(77))
        host._pictures.pop("b.jpg")
        report = await fsck(path)
        assert (report.status, named(report)) == (0, {"unchecked": ["a", "b"]})
        details = {x.product_id: x.detail for x in report.findings["unchecked"]}
        assert "has changed since it was indexed" in details["a"]
        assert "404" in details["b"]


async def test_truncated_topics_are_told_and_the_log_speaks_for_what_is_gone(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Products not seen since come from the log; those seen since from their events."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(8)))
        await path.settled()
        admin = AdminClient(path.settings.kafka())
        topic = path.topics.product_events
        cut = [TopicPartition(topic, p, -1) for p in range(2)]  # all of it
        for done in admin.delete_records(cut).values():
            await asyncio.to_thread(done.result, 10)
        await path.publish(offer("p1", price=2.0), updated("p2", inline(22)), deleted("p3"))
        report = await fsck(path)
        assert (report.status, named(report).get("lost")) == (0, None), report.findings
        assert report.expected == report.served == 7
        assert "truncated" in report.notes[0]
        state = path.engine.product("p4")
        later = (state.base.order[0] + 5_000, 0, 0)
        await plant(
            path,
            "p3",
            BaseLogRecord(order=later, title="Ghost"),
            VectorsLogRecord(order=later, model="fake", images=[image("ghost")]),
        )
        assert named(await fsck(path)).get("resurrected") == ["p3"]


async def test_a_lane_that_is_behind_is_late_and_one_that_committed_too_early_has_lost(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Without a pipeline the events wait; with their offsets committed they are lost for good."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings, frozenset({"search"})) as path:
        await path.publish(created("p", inline(1)))
        await path.publish_raw(b"broken", b"{")
        late = await fsck(path, wait_s=0.5)
        assert (late.status, late.counts["lost"]) == (2, 0)
        assert late.counts["late"] >= 3  # a range per lane, and the product
        await asyncio.to_thread(_commit_all, path)
        lost = await fsck(path, wait_s=60.0)
        assert lost.status == 1
        assert named(lost) == {"lost": ["p"], "missing_dead_letters": [""]}
        (missing,) = lost.findings["missing_dead_letters"]
        assert (missing.source or "").startswith(f"{path.topics.product_events}[")


async def test_vectors_that_are_no_longer_the_models_are_found_in_float16(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """A turn of a fiftieth of a radian is damage, float16's rounding is none."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(created("p", inline(1)), created("q", inline(2)))
        assert (await fsck(path)).status == 0
        order = path.engine.product("p").vectors_order
        (_, right), = path.engine.vectors_of("p")  # fmt: skip
        turned = right + 0.03 * unit("aside")
        turned /= np.linalg.norm(turned)
        digest = image("p")
        digest.vector = turned.astype("<f2").tobytes()
        await plant(path, "p", VectorsLogRecord(order=order, model="fake", images=[digest]))
        assert named(await fsck(path)) == {"wrong_vectors": ["p"]}


def _commit_all(path: Path) -> None:
    """Commit the ends of the product topics for both pipelines, as if all had been worked on."""
    for lane in ("attributes", "embedding"):
        consumer = Consumer(path.settings.kafka() | {"group.id": path.settings.group(lane)})
        try:
            for topic in path.topics.product_topics():
                for partition in (0, 1):
                    at = TopicPartition(topic, partition)
                    at.offset = consumer.get_watermark_offsets(at, timeout=10)[1]
                    consumer.commit(offsets=[at], asynchronous=False)
        finally:
            consumer.close()
