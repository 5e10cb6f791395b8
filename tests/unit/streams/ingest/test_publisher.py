"""The publisher over a broker of ours: what it waits for, and what it writes instead."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.config.settings import load_settings
from streams.ingest.dead_letters import PREFIX, Fault
from streams.ingest.latest import LatestOrder
from streams.ingest.outcome import EventOutcome, read_event
from streams.ingest.pipeline import EmbeddingPipeline
from streams.ingest.publisher import Publisher
from streams.ingest.retry import FIRST, Retry, retry_message
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Window
from streams.metrics import Metrics
from tests.support.lane_events import message
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError
from visualsearch.contracts.records import BaseLogRecord

AWAY = SendError("away", too_large=False)


class Broker:
    """Refuses what is larger than its topic's limit; `says` may say no for other reasons."""

    def __init__(self, **limits: int) -> None:
        self.limits = limits
        self.says: Callable[[OutgoingMessage], SendError | None] = lambda _: None
        self.taken: list[OutgoingMessage] = []
        self.together: list[int] = []  # the messages of each send

    async def send_each(self, messages: Sequence[OutgoingMessage]) -> list[SendError | None]:
        """Take what is small enough."""
        self.together.append(len(messages))
        errors = [self.says(message) or self._refusal(message) for message in messages]
        self.taken += [m for m, error in zip(messages, errors, strict=True) if error is None]
        return errors

    def _refusal(self, message: OutgoingMessage) -> SendError | None:
        size = len(message.value or b"") + len(message.key or b"")
        size += sum(len(name) + len(value or b"") for name, value in message.headers)
        large = size > self.limits.get(message.topic.replace("-", "_"), 10**9)
        return SendError("too large", too_large=True) if large else None

    def letters(self) -> list[tuple[str, int, int]]:
        """Return per dead letter its code, its offset and how long its value is."""
        found = []
        for letter in self.taken:
            if letter.topic == "dead-letters":
                told = {name: value or b"" for name, value in letter.headers}
                code, offset = told[f"{PREFIX}code"], told[f"{PREFIX}offset"]
                found.append((code.decode(), int(offset), len(letter.value or b"")))
        return found


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics of their own."""
    return Metrics(CollectorRegistry())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.001)


def publisher(broker: Broker, metrics: Metrics, **options: Any) -> Publisher:
    """Return a publisher of the attribute pipeline."""
    settings = load_settings()
    return Publisher("attributes", settings, broker, metrics, index_partitions=4, **options)  # type: ignore[arg-type]


def indexed(source: SourceMessage, title: str = "T") -> EventOutcome:
    """Return the outcome of an event with one record."""
    event = read_event(source, "timestamp")
    entry = (event.product_id, BaseLogRecord(order=event.order, title=title), event)
    return EventOutcome("indexed", event.type, records=[entry])


def events(count: int) -> list[SourceMessage]:
    """Return events of different products."""
    return [message(n, "product-created", f"p{n}") for n in range(count)]


async def test_a_record_that_the_log_refuses_is_dead_lettered_alone(metrics: Metrics) -> None:
    """The topic's own limit may be lower than ours; the neighbors' records are written."""
    broker, sources = Broker(index_log=2000), events(3)
    outcomes = [indexed(sources[0]), indexed(sources[1], "x" * 5000), indexed(sources[2])]
    await publisher(broker, metrics).write(sources, outcomes)
    assert broker.letters() == [("record_too_large", 1, sources[1].size)]
    assert [m.key for m in broker.taken if m.topic == "index-log"] == [b"base:p0", b"base:p2"]
    counted = metrics.dead_letters.labels("record_too_large")._value.get()
    assert counted == 1


async def test_headers_count_as_well(metrics: Metrics) -> None:
    """A trace of five megabytes makes a record that no producer sends."""
    broker, (source,) = Broker(index_log=2000), events(1)
    source = replace(source, headers=(("traceparent", b"x" * 5000),))
    await publisher(broker, metrics).write([source], [indexed(source)])
    assert broker.letters() == [("record_too_large", 0, source.size)]


async def test_a_batch_that_is_refused_as_a_whole_is_sent_one_by_one(metrics: Metrics) -> None:
    """A broker judges what came together: those that fit alone are no dead letters."""
    broker, sources = Broker(), events(3)
    broker.says = lambda _: (
        SendError("the batch is too large", too_large=True) if broker.together[-1] > 1 else None
    )
    await publisher(broker, metrics).write(sources, [indexed(source) for source in sources])
    assert broker.letters() == []
    assert broker.together == [3, 1, 1, 1]
    assert len(broker.taken) == 3


async def test_an_event_that_cannot_be_kept_for_later_is_dead_lettered(metrics: Metrics) -> None:
    """With the code and the tries of what it waits for."""
    broker, (source,) = Broker(product_retry=100), events(1)
    retry = Retry(replace(FIRST, total_attempts=4), 10.0, "image_timeout", "slow")
    await publisher(broker, metrics).write([source], [EventOutcome("retried", retry=retry)])
    assert broker.letters() == [("image_timeout", 0, source.size)]
    assert (f"{PREFIX}attempts", b"4") in broker.taken[0].headers


@pytest.mark.parametrize("refused", [False, True])
async def test_a_dead_letter_that_is_refused_says_where_its_event_stands(
    metrics: Metrics, *, refused: bool
) -> None:
    """Too large, or with a timestamp or header that is not taken: then without all of it."""
    broker, (source,) = Broker(dead_letters=900), events(1)
    source = replace(source, value=b"{" * 1000, headers=(("a", b"b"),), timestamp_ms=-7)
    if refused:
        broker = Broker()
        broker.says = lambda letter: (
            SendError("the timestamp", too_large=False, refused=True)
            if letter.timestamp_ms is not None
            else None
        )
    outcome = EventOutcome("dead_lettered", faults=[Fault("decode", "not_json", "broken")])
    await publisher(broker, metrics).write([source], [outcome])
    assert broker.letters() == [("not_json", 0, 0)]
    (letter,) = broker.taken
    assert (letter.key, letter.timestamp_ms) == (b"", None)
    assert (f"{PREFIX}value_omitted", b"1000") in letter.headers
    assert ("a", b"b") not in letter.headers


async def test_a_topic_that_takes_nothing_is_waited_for(metrics: Metrics) -> None:
    """Nothing is left to leave out: somebody has to mend the topic, and nothing is lost."""
    broker, (source,) = Broker(dead_letters=1), events(1)

    def mended(_: OutgoingMessage) -> None:
        if len(broker.together) == 6:
            broker.limits.clear()

    broker.says = mended
    outcome = EventOutcome("dead_lettered", faults=[Fault("decode", "not_json", "broken")])
    await publisher(broker, metrics).write([source], [outcome])
    assert broker.letters() == [("not_json", 0, 0)]


async def test_a_broker_that_is_away_is_waited_for(metrics: Metrics) -> None:
    """All is sent again, each failure is counted, and the outcome is counted once."""
    broker, sources = Broker(), events(2)
    broker.says = lambda _: AWAY if len(broker.together) < 5 else None
    await publisher(broker, metrics).write(sources, [indexed(source) for source in sources])
    assert len(broker.taken) == 2
    assert metrics.write_failures.labels("attributes")._value.get() == 4
    outcome = ("attributes", "product-created", "indexed")
    assert metrics.events.labels(*outcome)._value.get() == 2


async def test_an_error_of_ours_is_not_hidden(metrics: Metrics) -> None:
    """It is raised, not tried forever: who called makes a dead letter of it."""

    def defect(_: OutgoingMessage) -> None:
        raise RuntimeError("a defect")

    broker, (source,) = Broker(), events(1)
    broker.says = defect
    with pytest.raises(RuntimeError, match="a defect"):
        await publisher(broker, metrics).write([source], [indexed(source)])
    assert broker.together == [1]


async def test_attempts_of_many_events_are_spread(metrics: Metrics) -> None:
    """A host that was away does not meet them all at once; the time is by the brokers' clock."""
    broker, (source,) = Broker(), events(1)
    publishing = publisher(broker, metrics, now=lambda: 1000.0, jitter=lambda: 1.1)
    retry = Retry(FIRST, 10.0, "image_timeout", "slow")
    await publishing.write([source], [EventOutcome("retried", retry=retry)])
    (kept,) = broker.taken
    headers = dict(kept.headers)
    assert headers["__visualsearch.retry.not_before"] == b"1011000"


def test_a_worker_spreads_them_by_a_fifth(metrics: Metrics) -> None:
    """Of the pause, to both sides."""
    found = [publisher(Broker(), metrics)._jitter() for _ in range(200)]
    assert 0.8 <= min(found) < 0.9
    assert 1.1 < max(found) <= 1.2


class Defect:
    """Images that fail each time."""

    def __init__(self) -> None:
        self.tries = 0

    async def embed(self, *_: Any) -> Any:
        """Fail."""
        self.tries += 1
        raise MemoryError


@pytest.mark.parametrize("again", [False, True])
async def test_an_event_that_always_fails_ends_as_a_dead_letter(
    metrics: Metrics, *, again: bool
) -> None:
    """Of `product-retry` too, and then with the key, headers and place that it first had."""
    broker, (first_read,) = Broker(), events(1)
    defect = Defect()
    publishing = publisher(broker, metrics)
    pipeline = EmbeddingPipeline(
        "timestamp",
        defect,  # type: ignore[arg-type]
        LatestOrder(),
        publishing,
        delays_s=(),
    )
    source = first_read
    if again:
        retry = Retry(FIRST, 0.0, "image_timeout", "slow")
        kept = retry_message("product-retry", first_read, retry, now_ms=0)
        source = SourceMessage("product-retry", 3, 9, 0, kept.key, kept.value, kept.headers)
    handle = pipeline.handle_retry if again else pipeline.handle
    window = Window(handle, pipeline.give_up, events=1, size=1000)
    finished = asyncio.Event()
    window.take(source, finished.set)
    await asyncio.wait_for(finished.wait(), 10)
    assert defect.tries == 3
    assert broker.letters() == [("internal", 0, first_read.size)]
    told = dict(broker.taken[0].headers)
    assert (told[f"{PREFIX}topic"], told[f"{PREFIX}partition"]) == (b"t", b"0")
    assert not [name for name in told if "retry" in name]
