"""Kill -9 of one of two workers under 20 searches a second: each is answered, and in time.

Half of the requests' partitions belong to nobody until the group's session has run out. A client
that waits is answered then; one that sends again at half its deadline does not wait for that.
"""

import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from streams.config.settings import Settings, load_settings
from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import start_broker, stop_broker
from streams.tools.demo.stage import WorkerProcess, running_worker
from tests.support.fault.search_load import Sent, SteadyLoad, percentile
from tests.support.harness import inline, read_topic
from tests.support.path_events import created
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.events import encode_event
from visualsearch.contracts.search import QuerySpec, SearchRequest

PER_S = 20
PRODUCTS = 10
BEFORE, AFTER = 5 * PER_S, 15 * PER_S  # requests before and after the kill
PLAIN_LONGEST_S = 12.0
RESENT_P99_S = 2.0
REQUESTS = "visualsearch_search_requests_total{"


class Workers:
    """Two worker processes, as in production: the real encoder, the settings' defaults."""

    def __init__(self, settings: Settings, processes: list[WorkerProcess]) -> None:
        self.settings = settings
        self._processes = processes
        self._urls = [process.wait_ready() for process in processes]

    def client(self, *, resend: bool) -> SearchClient:
        """Return a client that is ready; who sees it answered sees the whole catalogue."""
        topics = self.settings.topics
        client = SearchClient(
            self.settings.kafka(), topics.search_requests, topics.search_results, resend=resend
        )
        client.wait_ready()
        return client

    def answered(self) -> list[int]:
        """Return how many requests each has answered so far, and so of which it has partitions."""
        counts = []
        for url in self._urls:
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:  # noqa: S310
                lines = reply.read().decode().splitlines()
            counts.append(round(sum(float(x.split()[-1]) for x in lines if x.startswith(REQUESTS))))
        return counts

    def kill(self, number: int) -> float:
        """Kill -9; return when, by `time.monotonic`."""
        process = self._processes[number].process
        killed_at = time.monotonic()
        process.kill()
        process.wait()
        return killed_at


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give an Apache Kafka of this module's own."""
    folder = tmp_path_factory.mktemp("broker")
    yield start_broker(folder).bootstrap
    stop_broker(folder)


@pytest.fixture
def workers(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Give two workers that are both up and know the same products."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = load_settings(
        bootstrap=bootstrap, topic_prefix=f"{tmp_path.name}-", data_dir=tmp_path, encoder="lite"
    )
    create_topics(bootstrap, topic_specs(settings.topics))
    with ExitStack() as stack:
        started = [
            stack.enter_context(running_worker(settings, 0, tmp_path / f"worker-{number}.log"))
            for number in range(2)
        ]
        workers = Workers(settings, started)
        publish(settings)
        await_both(workers)
        yield workers


def publish(settings: Settings) -> None:
    """Publish a few products."""
    with Producer(settings.kafka(), linger_ms=0) as producer:
        for number in range(PRODUCTS):
            value = encode_event(created(f"p{number}", inline(number)))
            message = OutgoingMessage(settings.topics.product_events, b"p%d" % number, value)
            producer.submit(message).result()


def await_both(workers: Workers) -> None:
    """Return once both answer requests, of all products."""
    whole = [0, 0]
    give_up_at = time.monotonic() + 60
    with closing(workers.client(resend=True)) as client:
        while min(whole) < PER_S:
            assert time.monotonic() < give_up_at, f"complete answers by worker: {whole}"
            before = workers.answered()
            result = client.search(
                SearchRequest(
                    request_id=uuid.uuid4().hex, query=QuerySpec(text="x"), deadline_ms=10_000
                )
            )
            grown = [b - a for a, b in zip(before, workers.answered(), strict=True)]
            if sum(grown) == 1 and result.index is not None and result.index.products == PRODUCTS:
                whole[grown.index(1)] += 1


def load_with_kill(workers: Workers, client: SearchClient, deadline_ms: int) -> list[Sent]:
    """Search steadily, kill a worker that is answering; return the requests since the kill."""
    load = SteadyLoad(client, per_s=PER_S, deadline_ms=deadline_ms)
    load.start()
    try:
        load.await_more(BEFORE - PER_S)
        before = workers.answered()
        load.await_more(PER_S)
        grown = [b - a for a, b in zip(before, workers.answered(), strict=True)]
        assert min(grown) > 0, f"one of the workers has no partitions: {grown}"
        killed_at = workers.kill(grown.index(max(grown)))
        load.await_more(AFTER)
    finally:
        sent = load.stop()
    assert all(len(each.ends) == 1 for each in sent), "told twice, or never"
    return [each for each in sent if each.due_at >= killed_at]


def tell(capsys: pytest.CaptureFixture[str], name: str, sent: list[Sent]) -> None:
    """Print the figures; they are for docs/benchmarks.md as well."""
    waits = [each.waited_s for each in sent]
    with capsys.disabled():
        print(
            f"\n{name}: {len(sent)} requests in {AFTER / PER_S:.0f} s after kill -9: "
            f"p50 {percentile(waits, 0.5) * 1000:.0f} ms, p90 {percentile(waits, 0.9):.2f} s, "
            f"p99 {percentile(waits, 0.99):.2f} s, longest {max(waits):.2f} s; "
            f"{dict(Counter(each.told for each in sent))}"
        )


def answered_after_kill(
    workers: Workers, capsys: pytest.CaptureFixture[str], *, resend: bool, deadline_ms: int
) -> list[Sent]:
    """Return the requests since the kill, each of them answered with a result."""
    with closing(workers.client(resend=resend)) as client:
        sent = load_with_kill(workers, client, deadline_ms)
    tell(capsys, "clients that send again" if resend else "clients that wait", sent)
    assert {each.told for each in sent} == {"ok"}
    return sent


def results_by_request(settings: Settings) -> Counter[str]:
    """Return how many results the topic holds for each request."""
    messages = read_topic(settings, settings.topics.search_results)
    return Counter(msgspec.json.decode(m.value())["request_id"] for m in messages)


@pytest.mark.timeout(240)
def test_who_waits_is_answered_within_twelve_seconds(
    workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request that the killed worker had, or should have had, is its successor's."""
    sent = answered_after_kill(workers, capsys, resend=False, deadline_ms=20_000)
    longest_s = max(each.waited_s for each in sent)
    assert longest_s > 1.0, "nobody waited: the killed worker had no partition"
    assert longest_s <= PLAIN_LONGEST_S
    assert results_by_request(workers.settings).keys() >= {each.request_id for each in sent}


@pytest.mark.timeout(240)
def test_who_sends_again_at_half_the_deadline_waits_two_seconds_at_most(
    workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other worker answers the repeated request, long before the group knows of the death."""
    sent = answered_after_kill(workers, capsys, resend=True, deadline_ms=2_000)
    waits = [each.waited_s for each in sent]
    assert sum(wait >= 1.0 for wait in waits) > PER_S, "nobody had to send again"
    assert percentile(waits, 0.99) <= RESENT_P99_S
