"""How a worker begins where the broker does not say, or does not answer, whose log it is."""

from pathlib import Path

import pytest

from streams.config.settings import Settings, load_settings
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.kafka.topics import TopicError
from streams.snapshots import log_state
from streams.snapshots import restore as module
from streams.snapshots.restore import build_scheduler, restore_index
from streams.snapshots.source import SnapshotSource
from tests.support.log_replica import DIM, MODEL, TOPIC
from tests.support.snapshot_parts import HERE, SOURCE, fresh_metrics, snapshot_in, value


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings whose folder of snapshots has one."""
    chosen = load_settings(bootstrap="127.0.0.1:1", data_dir=tmp_path)
    snapshot_in(chosen.snapshots)
    return chosen


def readable(_: object, __: SnapshotSource) -> None:
    """Find that the log has it all."""


def test_a_worker_begins_with_what_the_snapshot_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index, where to read on, the dirty keys, and the time that it took."""
    monkeypatch.setattr(module, "identify", lambda *_: HERE)
    monkeypatch.setattr(module, "require_readable", readable)
    metrics = fresh_metrics()
    beginning = restore_index(settings, MODEL, DIM, metrics)
    assert beginning.engine.stats().products == 3
    assert beginning.start_positions == dict(enumerate(SOURCE.positions))
    assert list(beginning.dirty) == [(b"base:p", 0, (1, 2, 0))]
    assert value(metrics, "restore_seconds", step="checksums") > 0
    ledger = Ledger(1.0, lambda: 0.0)
    reader = LogReader({}, TOPIC, beginning.engine, ledger, metrics, lambda: 0.0, partitions=2,
                       starts=beginning.start_positions)  # fmt: skip
    scheduler = build_scheduler(settings, beginning, reader, ledger, metrics)
    assert scheduler is not None
    assert scheduler.age_s() == 0.0  # nothing has changed since


def test_where_nothing_fits_it_begins_empty(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning of the log."""
    monkeypatch.setattr(module, "identify", lambda *_: HERE)
    monkeypatch.setattr(module, "require_readable", readable)
    beginning = restore_index(settings, "another model", DIM, fresh_metrics())
    assert beginning.engine.stats().products == 0
    assert (dict(beginning.start_positions), list(beginning.dirty)) == ({}, [])


def test_a_broker_that_says_no_is_done_without(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an ACL, or because it is none of Apache's: the log is replayed, no snapshot is taken."""

    def forbidden(*_: object) -> None:
        raise TopicError("not authorised")

    monkeypatch.setattr(module, "identify", forbidden)
    metrics = fresh_metrics()
    beginning = restore_index(settings, MODEL, DIM, metrics)
    assert beginning.engine.stats().products == 0
    ledger = Ledger(1.0, lambda: 0.0)
    reader = LogReader({}, TOPIC, beginning.engine, ledger, metrics, lambda: 0.0, partitions=2)
    assert build_scheduler(settings, beginning, reader, ledger, metrics) is None


def test_a_broker_that_does_not_answer_ends_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full replay, and no snapshots for good, would be a high price for a moment's silence."""
    monkeypatch.setattr(log_state, "ANSWER_S", 0.5)
    with pytest.raises(TopicError) as raised:
        restore_index(settings, MODEL, DIM, fresh_metrics())
    assert raised.value.code == "unreachable"
    with pytest.raises(TopicError) as raised:
        log_state.require_readable(settings.kafka(), SOURCE)
    assert raised.value.code == "unreachable"
