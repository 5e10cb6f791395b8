"""A worker that starts from its snapshot: where it reads on, and when it must not use it."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as Folder
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.config.settings import Settings
from streams.config.topics import topic_specs
from streams.kafka.topics import admin_client
from streams.snapshots.log_state import identify, require_readable
from streams.snapshots.source import SnapshotSource, UnusableSnapshotError, read_source
from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, inline, make_settings, make_topics, path_of
from tests.support.path_events import created, deleted, offer
from tests.support.waiting import until
from visualsearch.client.tail import Position
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import read_manifest

PRODUCTS = 12


@pytest.fixture
async def settings(kafka: BrokerInfo, tmp_path: Folder) -> Settings:
    """Give settings of a worker that takes a snapshot when it stops, and topics."""
    chosen = make_settings(kafka.bootstrap, tmp_path, snapshot_at_stop=True)
    await asyncio.to_thread(make_topics, chosen)
    return chosen


@asynccontextmanager
async def filled(settings: Settings) -> AsyncIterator[Path]:
    """Give a worker that has indexed some products, one of them deleted again."""
    async with path_of(settings) as path:
        await path.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(PRODUCTS)))
        await path.publish(deleted("p0"))
        await path.settled()
        yield path


def source_of(settings: Settings) -> SnapshotSource:
    """Return the source of the newest snapshot."""
    return read_source(read_manifest(list_snapshots(settings.snapshots)[0]).source)


def records_read(path: Path) -> int:
    """Return how many records of the log a worker has read since it started."""
    registry = path.worker._shared.metrics.registry  # type: ignore[union-attr]
    return round(sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "visualsearch_log_records_total"
    ))  # fmt: skip


def refused(path: Path, reason: str) -> float:
    """Return how many snapshots were refused for a reason."""
    return path.metric("snapshots_refused_total", reason=reason)


async def test_a_worker_reads_on_where_its_snapshot_ends(settings: Settings) -> None:
    """No record before its offsets is read again; what came after them is applied."""
    async with filled(settings):
        pass
    source = source_of(settings)
    assert [at.leader_epoch for at in source.positions] == [0, 0]
    async with path_of(settings) as path:  # nothing new: nothing is read
        assert path.metric("snapshots_total", outcome="restored") == 1
        assert records_read(path) == 0
        assert path.engine.stats().products == PRODUCTS - 1
        assert path.metric("restore_seconds", step="checksums") > 0
        assert path.metric("restore_seconds", step="replay") > 0
        assert await path.names_showing(0) == []
        await path.publish(offer("p1", price=9.0), created("new", inline(99)), deleted("p2"))
        await path.settled()
        tail = records_read(path)
    assert len(list_snapshots(settings.snapshots)) == 2
    shutil.rmtree(
        list_snapshots(settings.snapshots)[0]
    )  # as if it had been killed before the last one
    async with path_of(settings) as path:
        assert records_read(path) == tail  # ready means that the tail is applied
        assert [hit.price for hit in await path.showing(1)] == [9.0]
        assert await path.names_showing(99) == ["new"]
        for gone in (0, 2):
            assert await path.names_showing(gone) == []


async def test_what_has_not_changed_is_not_written_again(settings: Settings) -> None:
    """Restarting a quiet worker ten times must not push the older snapshots out."""
    async with filled(settings):
        pass
    (only,) = list_snapshots(settings.snapshots)
    async with path_of(settings) as path:
        assert path.worker._search.snapshots.age_s() == 0.0  # type: ignore[union-attr]
    assert list_snapshots(settings.snapshots) == [only]


async def test_the_clock_and_the_changes_have_snapshots_taken(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """And of them the newest are kept."""
    settings = make_settings(kafka.bootstrap, tmp_path, snapshot_interval_s=1.0,
                             snapshot_keep=2)  # fmt: skip
    await asyncio.to_thread(make_topics, settings)
    async with filled(settings) as path:
        for number in range(3):
            taken = path.metric("snapshots_total", outcome="taken")
            await path.publish(offer("p1", price=float(number)))
            await until(lambda taken=taken: path.metric("snapshots_total", outcome="taken") > taken)
        assert path.metric("snapshot_seconds") > 0
    assert len(list_snapshots(settings.snapshots)) == 2


async def test_a_topic_that_was_made_again_is_another_one(settings: Settings) -> None:
    """Same cluster, same name, same number of partitions: the snapshot's products are not in it."""
    async with filled(settings):
        pass
    admin = admin_client(settings.bootstrap)
    topic = settings.topics.index_log
    await asyncio.to_thread(admin.delete_topics([topic])[topic].result)
    await until(lambda: topic not in admin.list_topics(timeout=10).topics)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings) as path:
        assert refused(path, "topic_recreated") == 1
        assert path.engine.stats().products == 0


async def test_a_log_that_begins_later_cannot_be_read_on(settings: Settings) -> None:
    """What was cut off between the offset and the log's beginning may have been a delete."""
    async with filled(settings):
        pass
    early = source_of(settings)
    async with path_of(settings) as path:
        await path.publish(*(offer(f"p{n}", price=2.0) for n in range(1, PRODUCTS)))
        await path.settled()
    shutil.rmtree(list_snapshots(settings.snapshots)[0])
    topic = settings.topics.index_log
    cut = [TopicPartition(topic, n, at.offset + 1) for n, at in enumerate(early.positions)]
    admin = admin_client(settings.bootstrap)  # its futures live as long as it does
    entry = ConfigEntry("cleanup.policy", "delete",
                        incremental_operation=AlterConfigOpType.SET)  # fmt: skip
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    await asyncio.to_thread(admin.incremental_alter_configs([resource])[resource].result)
    for future in admin.delete_records(cut).values():
        await asyncio.to_thread(future.result)
    async with path_of(settings) as path:
        assert refused(path, "offset_before_beginning") == 1
        assert records_read(path) > 0


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (Position(10_000, 0), "offset_past_end"),
        (Position(1, 7), "log_truncated"),
    ],
)
async def test_offsets_that_the_log_cannot_have_given_are_refused(
    settings: Settings, changed: Position, code: str
) -> None:
    """Past its end, or of a leader that it never had: records were lost, and written anew."""
    async with filled(settings):
        pass
    source = source_of(settings)
    await asyncio.to_thread(require_readable, settings.kafka(), source)
    wrong = SnapshotSource(source.log, (changed, source.positions[1]))
    with pytest.raises(UnusableSnapshotError) as raised:
        await asyncio.to_thread(require_readable, settings.kafka(), wrong)
    assert raised.value.code == code


async def test_a_damaged_snapshot_is_passed_over_for_an_older_one(settings: Settings) -> None:
    """With the reason in the log and in the metrics."""
    async with filled(settings):
        pass
    async with path_of(settings) as path:
        await path.publish(offer("p1", price=9.0))
        await path.settled()
    newest, older = list_snapshots(settings.snapshots)
    victim = newest / next(iter(read_manifest(newest).files))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    async with path_of(settings) as path:
        assert refused(path, "checksum_wrong") == 1
        assert path.metric("snapshots_total", outcome="restored") == 1
        assert [hit.price for hit in await path.showing(1)] == [9.0]
        assert older.exists()


async def test_a_reader_that_finds_its_log_cut_ends(settings: Settings) -> None:
    """It does not skip: the worker says that it should be restarted, and then replays."""
    async with filled(settings) as path:
        assert path.worker._search is not None
        reader = path.worker._search.reader
        reader.close()
        starts = {0: Position(10_000), 1: Position(0)}
        fresh: Any = type(reader)(
            settings.kafka(), settings.topics.index_log, path.engine, path.worker._search.ledger,
            path.worker._shared.metrics, lambda: 0.0, partitions=2, starts=starts,  # type: ignore[union-attr]
        )  # fmt: skip
        fresh.start()
        await until(fresh.failed.is_set)
        assert not fresh.caught_up.is_set()
        fresh.close()


async def test_dirty_keys_travel_with_the_snapshot(settings: Settings) -> None:
    """Or nobody would heal them: the stale record lies before the offsets."""
    async with filled(settings) as path:
        assert path.worker._search is not None
        path.worker._search.ledger.mark_stale(b"base:p1", 0, (1, 2, 3))
    source = source_of(settings)
    assert [(d.raw_key, d.partition, d.order) for d in source.dirty] == [(b"base:p1", 0, (1, 2, 3))]
    async with path_of(settings) as path:
        assert path.worker._search is not None
        assert path.worker._search.ledger.dirty_keys()[b"base:p1"].order == (1, 2, 3)


async def test_what_a_log_is_is_told_by_the_broker(settings: Settings) -> None:
    """Two topics of one cluster differ in their ids."""
    names = settings.topics
    here = identify(settings.bootstrap, names.index_log)
    other = identify(settings.bootstrap, names.product_events)
    assert here.partitions == 2
    assert here.cluster_id == other.cluster_id != ""
    assert here.topic_id != other.topic_id
    assert len(topic_specs(names)) > 0


async def test_nothing_of_it_disturbs_a_worker_whose_disk_does_not_take_it(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Failures are told and counted; the worker answers on."""
    settings.snapshots.parent.mkdir(parents=True, exist_ok=True)
    settings.snapshots.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        async with filled(settings) as path:
            assert path.worker._search is not None
            assert path.worker._search.snapshots is not None
            future = path.worker._search.snapshots.request()
            error = await asyncio.to_thread(future.exception)
            assert getattr(error, "code", None) in {"unwritable", "exists"}
            assert path.metric("snapshots_total", outcome="failed") == 1
            assert await path.names_showing(1) == ["p1"]
    assert any("no snapshot" in record.message for record in caplog.records)
