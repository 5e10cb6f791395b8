"""Which keys are healed, when, with what; and what a healed record does not count as."""

from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.indexer.healer import LogHealer, LogRecord, NewestRecordCollector
from streams.indexer.ledger import LOST_PAUSE_S, Ledger
from streams.metrics import Metrics
from tests.support.log_history import vector
from tests.support.log_replica import METRICS, MODEL, TOPIC, Log, Replica
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    VectorsLogRecord,
    encode_record,
)

KEY = b"base:p"
NEW, OLD = (5, 0, 0), (4, 0, 0)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        """Return its time."""
        return self.s


@pytest.fixture
def clock() -> Clock:
    """Give a clock at zero."""
    return Clock()


def test_a_key_is_due_after_its_grace_and_an_end_met_after_that(clock: Clock) -> None:
    """A reader that lags cannot know whether the newest comes again by itself."""
    ledger = Ledger(30.0, clock)
    ledger.mark_end(0)
    ledger.mark_stale(KEY, 0, NEW)
    ledger.mark_end(1)
    clock.s = 100.0
    assert ledger.due_keys() == {}
    ledger.mark_end(1)
    assert ledger.due_keys() == {}
    ledger.mark_end(0)
    assert list(ledger.due_keys()) == [KEY]


def test_older_records_that_go_on_coming_do_not_put_it_off(clock: Clock) -> None:
    """A zombie writes every second; the first record starts the grace."""
    ledger = Ledger(30.0, clock)
    for second in range(31):
        clock.s = float(second)
        ledger.mark_stale(KEY, 0, NEW)
    ledger.mark_end(0)
    assert ledger.due_keys()[KEY].order == NEW


def test_only_a_record_that_is_not_older_cleans(clock: Clock) -> None:
    """An equal one does: it is what healing appends."""
    ledger = Ledger(30.0, clock)
    ledger.mark_stale(KEY, 0, NEW)
    ledger.mark_current(KEY, OLD)
    assert len(ledger) == 1
    ledger.mark_current(b"base:other", NEW)
    assert len(ledger) == 1
    ledger.mark_current(KEY, NEW)
    assert len(ledger) == 0


def test_a_claim_holds_for_another_grace_and_only_for_the_same_order(clock: Clock) -> None:
    """Newer ones were read meanwhile: nothing is appended. An append that is lost is repeated."""
    ledger = Ledger(30.0, clock)
    assert not ledger.claim(KEY, NEW)
    ledger.mark_stale(KEY, 0, NEW)
    assert not ledger.claim(KEY, OLD)
    clock.s = 40.0
    assert ledger.claim(KEY, NEW)
    ledger.mark_end(0)
    assert ledger.due_keys() == {}
    clock.s = 70.0
    ledger.mark_end(0)
    assert list(ledger.due_keys()) == [KEY]


def test_of_equal_orders_the_last_is_found_and_a_newer_one_will_do() -> None:
    """As a live index decides; other keys, other formats and nulls are passed over."""
    search = NewestRecordCollector({KEY: OLD, b"base:absent": OLD})
    for title, order in (("a", (3, 0, 0)), ("b", OLD), ("c", OLD), ("d", (3, 0, 0))):
        search.observe(KEY, encode_record(BaseLogRecord(order=order, title=title)), (("h", b"1"),))
    search.observe(KEY, None, ())
    search.observe(KEY, b"\xc1", ())
    search.observe(b"base:q", encode_record(BaseLogRecord(order=NEW)), ())
    value = encode_record(BaseLogRecord(order=OLD, title="c"))
    assert search.found == {KEY: LogRecord(KEY, value, (("h", b"1"),))}
    search.observe(KEY, encode_record(BaseLogRecord(order=NEW, title="e")), ())
    search.observe(KEY, encode_record(BaseLogRecord(order=OLD, title="f")), ())
    assert search.found[KEY].value == encode_record(BaseLogRecord(order=NEW, title="e"))


class World:
    """A log, and a worker on it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.log = Log()
        self.replica = self.worker()

    def worker(self) -> Replica:
        """Return a worker that has read nothing yet."""
        return Replica(self.log, self.clock, 30.0, append=lambda m: self.log.append(m, 0.0))

    def write(self, key: bytes, record: IndexRecord, *headers: tuple[str, bytes]) -> None:
        """Append a record to the first partition."""
        message = OutgoingMessage(TOPIC, key, encode_record(record), 0, headers)
        self.log.append(message, self.clock())

    def heal(self) -> int:
        """Read all, let the grace pass, and heal."""
        self.replica.read_all()
        self.clock.s += 31.0
        self.replica.read_all()
        return self.replica.healer.heal()

    def headers(self) -> Headers:
        """Return the headers of the last record."""
        return self.log.entries[0][-1].record_headers


def test_the_newest_is_appended_as_it_was_with_one_header_more(clock: Clock) -> None:
    """Also when it is itself a healed one; then nothing is left to do."""
    world = World(clock)
    world.write(KEY, BaseLogRecord(order=NEW, deleted=True), ("event_id", b"e"))
    for _ in range(2):
        world.write(KEY, BaseLogRecord(order=OLD, title="risen"))
        assert world.heal() == 1
        last = world.log.entries[0][-1]
        assert (last.key(), last.value()) == (
            KEY,
            encode_record(BaseLogRecord(order=NEW, deleted=True)),
        )
        assert world.headers() == (("event_id", b"e"), ("healed", b"1"))
        assert world.heal() == 0
        assert len(world.replica.ledger) == 0


def test_a_worker_that_replays_notes_and_appends_nothing_before_it_met_every_end(
    clock: Clock,
) -> None:
    """The log's own history is no reason to write; what is still so at its end is."""
    world = World(clock)
    world.write(KEY, BaseLogRecord(order=NEW))
    world.write(KEY, BaseLogRecord(order=OLD))
    world.write(b"base:q", BaseLogRecord(order=NEW))
    replica = world.worker()
    for limit in (2, 9):  # not to its end, then to it; but the other partition is not read
        replica._consumer.fetch(0, limit)
        replica.take()
        assert len(replica.ledger) == 1
        clock.s += 1000.0
        replica.take()
        assert replica.healer.heal() == 0
    assert len(replica.ledger.due_keys()) == 1
    replica.read_all()
    assert replica.healer.heal() == 1


def test_a_healed_record_says_nothing_of_freshness(clock: Clock) -> None:
    """It is as old as its event; other records are counted."""

    def counted() -> float:
        labels = {"kind": "delete"}
        name = "visualsearch_freshness_seconds_count"
        return METRICS.registry.get_sample_value(name, labels) or 0.0

    headers = (("event_type", b"product-deleted"), ("occurred_at", b"2026-05-01T12:00:00+00:00"))
    world = World(clock)
    world.replica.read_all()
    before = counted()
    world.write(KEY, BaseLogRecord(order=NEW, deleted=True), *headers)
    world.write(KEY, BaseLogRecord(order=OLD))
    world.replica.read_all()
    assert counted() == before + 1
    assert world.heal() == 1
    world.replica.read_all()
    assert world.headers()[:2] == headers
    assert counted() == before + 1


def pictures(order: tuple[int, int, int], model: str) -> VectorsLogRecord:
    """Return a vectors record of a model."""
    image = {"image_id": "0", "vector": vector(1), "url": "", "content_hash": ""}
    return VectorsLogRecord(order=order, model=model, images=[image])  # type: ignore[list-item]  # encoded


def test_of_another_model_an_older_record_is_healed_over_and_a_newer_one_is_left(
    clock: Clock,
) -> None:
    """Orders alone count: two models' workers must not append over each other forever."""
    key = b"vectors:p"
    world = World(clock)
    world.write(key, pictures(NEW, MODEL))
    world.write(key, pictures(OLD, "other"))
    assert world.heal() == 1
    world.write(key, pictures((6, 0, 0), "other"))
    assert world.heal() == 0
    assert len(world.replica.ledger) == 0
    product = world.replica.engine.product("p")
    assert product is not None
    assert product.vectors_order == NEW


class Broken:
    """A log that cannot be searched for something, or not be appended to."""

    def __init__(self, found: dict[bytes, LogRecord]) -> None:
        self.found = found
        self.searches = 0
        self.fails = True
        self.sent: list[OutgoingMessage] = []

    def newest(self, *_: Any) -> dict[bytes, LogRecord]:
        """Return what is there."""
        self.searches += 1
        return self.found

    def append(self, message: OutgoingMessage) -> "Future[None]":
        """Fail, or not."""
        future: Future[None] = Future()
        if self.fails:
            future.set_exception(ConnectionError("away"))
        else:
            self.sent.append(message)
            future.set_result(None)
        return future


def healer_on(broken: Broken, ledger: Ledger) -> tuple[LogHealer, Metrics]:
    """Return a healer that is ready, and its metrics."""
    metrics = Metrics(CollectorRegistry())
    healer = LogHealer(TOPIC, ledger, broken.newest, broken.append, metrics,
                       ready=lambda: True, interval_s=0.01)  # fmt: skip
    return healer, metrics


def test_a_newest_record_that_the_log_has_no_more_is_reported_and_left_dirty(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody was there for as long as compaction waits. It is looked for once an hour."""
    ledger, broken = Ledger(0.0, clock), Broken({})
    healer, _ = healer_on(broken, ledger)
    ledger.mark_stale(KEY, 0, NEW)
    ledger.mark_end(0)
    assert healer.heal() == 0
    assert "publish the product again" in caplog.text
    assert len(ledger) == 1
    clock.s += LOST_PAUSE_S - 1
    ledger.mark_end(0)
    assert (healer.heal(), broken.searches) == (0, 1)
    clock.s += 1
    ledger.mark_end(0)
    assert (healer.heal(), broken.searches) == (0, 2)


def test_an_append_that_fails_is_tried_again_by_a_thread_that_lives_on(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker may be away for minutes; what was not acknowledged is not counted."""
    ledger = Ledger(0.0, clock)
    broken = Broken({KEY: LogRecord(KEY, b"v", ())})
    healer, metrics = healer_on(broken, ledger)
    ledger.mark_stale(KEY, 0, NEW)
    ledger.mark_end(0)
    with pytest.raises(ConnectionError):
        healer.heal()
    assert metrics.registry.get_sample_value("visualsearch_log_healed_total") == 0.0
    healer.start()
    try:
        while "not healed" not in caplog.text:
            assert healer._thread.is_alive()
        broken.fails = False
        while not broken.sent:
            assert healer._thread.is_alive()
    finally:
        healer.close()
    assert not healer._thread.is_alive()
    assert broken.sent[0].headers == (("healed", b"1"),)
