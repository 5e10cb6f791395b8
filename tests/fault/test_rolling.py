"""Two workers under 20 searches a second while one after the other is stopped, or killed.

The clients never send again: what is answered is answered by the workers' own doing.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.config.settings import Settings, load_settings
from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import start_broker, stop_broker
from streams.tools.demo.stage import WorkerProcess, running_worker
from tests.fault.test_search_kill import PER_S, publish, results_by_request
from tests.support.fault.fleet import until
from tests.support.fault.search_load import Sent, SteadyLoad, percentile
from visualsearch.client.search_client import SearchClient

STOPS, KILLS = 6, 4
QUICK_S = 2.0  # a request that is answered sooner is answered once


class Pair:
    """Two worker processes, each of which can be replaced."""

    def __init__(self, settings: Settings, folder: Path, stack: ExitStack) -> None:
        self.settings = settings
        self._folder = folder
        self._stack = stack
        self._started = 0
        self._workers = [self._start() for _ in range(2)]
        for worker in self._workers:
            worker.wait_ready()

    def _start(self) -> WorkerProcess:
        log = self._folder / f"worker-{self._started}.log"
        self._started += 1
        return self._stack.enter_context(running_worker(self.settings, 0, log))

    def replace_first(self, *, kill: bool) -> None:
        """End the older worker, start another, and wait until the group is whole again.

        A group with a dead member stands still until its session has run out: kills that come
        faster than that are an outage, not a test of what is lost.
        """
        old = self._workers.pop(0)
        if kill:
            old.kill()
        else:
            assert old.stop() == 0, old.log.read_text()[-3000:]
        new = self._start()
        new.wait_ready()
        self._workers.append(new)
        until(
            lambda: self._shares() == [4, 4], "the group has two members that share its partitions"
        )

    def _shares(self) -> list[int]:
        """Return how many partitions of the requests each member of their group has."""
        admin = AdminClient(self.settings.kafka())  # held: its answers come while it lives
        (told,) = admin.describe_consumer_groups([self.settings.group("search")]).values()
        return [len(member.assignment.topic_partitions) for member in told.result().members]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Give two workers on a broker of this test's own."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bootstrap = start_broker(tmp_path / "broker").bootstrap
    settings = load_settings(bootstrap=bootstrap, data_dir=tmp_path, encoder="lite")
    create_topics(bootstrap, topic_specs(settings.topics))
    publish(settings)
    with ExitStack() as stack:
        yield Pair(settings, tmp_path, stack)
    stop_broker(tmp_path / "broker")


def searched(pair: Pair, deadline_ms: int, *, ends: int, kill: bool) -> list[Sent]:
    """Search steadily while so many workers end; return all requests."""
    topics = pair.settings.topics
    client = SearchClient(
        pair.settings.kafka(), topics.search_requests, topics.search_results, resend=False
    )
    with closing(client):
        client.wait_ready()
        load = SteadyLoad(client, per_s=PER_S, deadline_ms=deadline_ms)
        load.start()
        try:
            for _ in range(ends):
                load.await_more(3 * PER_S)
                pair.replace_first(kill=kill)
            load.await_more(3 * PER_S)
        finally:
            sent = load.stop()
    time.sleep(1.0)  # for a second answer, if there is one
    return sent


def tell(capsys: pytest.CaptureFixture[str], name: str, sent: list[Sent], doubled: int) -> None:
    """Print the figures."""
    waits = [each.waited_s for each in sent]
    with capsys.disabled():
        print(
            f"\n{name}: {len(sent)} requests, p50 {percentile(waits, 0.5) * 1000:.0f} ms, "
            f"p99 {percentile(waits, 0.99):.2f} s, longest {max(waits):.2f} s, {doubled} answered "
            f"twice; {dict(Counter(each.told for each in sent))}"
        )


@pytest.mark.timeout(600)
def test_a_rolling_restart_leaves_no_request_unanswered_and_answers_none_twice(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM, six times: at a rebalance a worker finishes what it has, commits, and lets go."""
    sent = searched(pair, 20_000, ends=STOPS, kill=False)
    answers = results_by_request(pair.settings)
    quick = [each for each in sent if each.waited_s < QUICK_S]
    doubled = [each.request_id for each in quick if answers[each.request_id] > 1]
    tell(capsys, f"{STOPS} rolling SIGTERMs", sent, len(doubled))
    assert {each.told for each in sent} == {"ok"}
    assert doubled == []


@pytest.mark.timeout(600)
def test_killed_workers_leave_no_request_unanswered(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL, four times, with deadlines of 30 s: the successor answers what was left."""
    sent = searched(pair, 30_000, ends=KILLS, kill=True)
    answers = results_by_request(pair.settings)
    doubled = sum(answers[each.request_id] > 1 for each in sent)
    tell(capsys, f"{KILLS} SIGKILLs", sent, doubled)
    assert {each.told for each in sent} == {"ok"}
