"""Restore at the start of a search worker: the newest usable snapshot, else an empty index."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from streams.config.settings import Settings
from streams.indexer.engine import build_engine, engine_options
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.kafka.topics import TopicError
from streams.metrics import Metrics
from streams.snapshots.choice import ChosenSnapshot, SnapshotChooser, SnapshotValidator
from streams.snapshots.log_state import identify, require_readable
from streams.snapshots.scheduler import SnapshotScheduler, SnapshotTriggers
from streams.snapshots.source import LogIdentity
from streams.snapshots.store import SnapshotStore
from streams.snapshots.take import Retention, SnapshotTaker
from visualsearch.client.tail import Position
from visualsearch.contracts.records import Order
from visualsearch.engine import Engine
from visualsearch.snapshot.read import restore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestoredIndex:
    """The index to start with, and the log positions to read from."""

    engine: Engine
    log_identity: LogIdentity | None  # None if unknown: then no snapshots are taken
    store: SnapshotStore | None
    chosen: ChosenSnapshot | None = None
    start_positions: Mapping[int, Position] = field(default_factory=dict)
    dirty: Iterable[tuple[bytes, int, Order]] = ()


def restore_index(settings: Settings, model: str, dim: int, metrics: Metrics) -> RestoredIndex:
    """Restore the newest usable snapshot; rejected ones are logged and counted.

    Raises TopicError if the broker does not answer.
    """
    empty = partial(build_engine, settings, model, dim, metrics)
    try:
        here = identify(settings.bootstrap, settings.topics.index_log)
    except TopicError as error:
        if error.code == "unreachable":
            raise
        log.warning("no snapshots: %s", error)
        return RestoredIndex(empty(), None, None)
    store = SnapshotStore(settings.snapshots_url) if settings.snapshots_url else None
    validate = SnapshotValidator(here, model, dim, partial(require_readable, settings.kafka()))
    options = engine_options(settings, metrics)
    chooser = SnapshotChooser(
        settings.snapshots,
        store,
        validate,
        lambda path: restore(path, model=model, dim=dim, **options),
        metrics,
    )
    chosen = chooser.choose()
    if chosen is None:
        log.info("no usable snapshot: the index log is replayed from its beginning")
        return RestoredIndex(empty(), here, store)
    for step, seconds in chosen.seconds.items():
        metrics.restore.labels(step).set(seconds)
    age_s = time.time() - chosen.created_at
    log.info("restored %s, %.0f s old, in %.1f s", chosen.path.name, age_s,
             sum(chosen.seconds.values()))  # fmt: skip
    return RestoredIndex(
        chosen.restored.engine,
        here,
        store,
        chosen,
        dict(enumerate(chosen.positions)),
        tuple((each.raw_key, each.partition, each.order) for each in chosen.source.dirty),
    )


def build_scheduler(
    settings: Settings,
    restored: RestoredIndex,
    reader: LogReader,
    ledger: Ledger,
    metrics: Metrics,
) -> SnapshotScheduler | None:
    """Return the snapshot scheduler, not started; None if the log cannot be identified."""
    if restored.log_identity is None:
        return None
    keep = Retention(settings.snapshot_keep, settings.snapshot_max_age_s)
    taker = SnapshotTaker(
        restored.engine,
        reader,
        ledger,
        restored.log_identity,
        settings.snapshots,
        restored.store,
        keep,
        metrics,
        time.time,
    )
    triggers = SnapshotTriggers(
        settings.snapshot_interval_s, settings.snapshot_changes, settings.snapshot_at_stop
    )
    return SnapshotScheduler(taker, triggers, metrics, newest=restored.chosen)
