"""When producers may send to topics that were made a moment ago."""

from concurrent.futures import Future
from types import SimpleNamespace as Fake
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.topic_leaders import leaderless_topics

NAMES = ["a", "b"]


class Cluster:
    """Brokers that learn of topics one after the other; `now` moves by what is waited."""

    def __init__(
        self, known_at: dict[str, float], led_at: float = 0.0, leads_at: float = 0.0
    ) -> None:
        self.known_at = known_at
        self.led_at = led_at
        self.leads_at = leads_at
        self.now = 0.0
        self.away: set[str] = set()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def connect(self, address: str) -> Any:
        """Return a client that asks one broker."""
        return Fake(
            list_topics=lambda timeout: timeout and self._metadata(address),
            list_offsets=lambda wanted, request_timeout: request_timeout and self._offsets(wanted),
        )

    def _metadata(self, address: str) -> Any:
        if address in self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        leader = 1 if self.now >= self.led_at else -1
        topic = Fake(partitions={0: Fake(leader=1), 1: Fake(leader=leader)})
        knows = self.now >= self.known_at[address]
        pairs = [address.rpartition(":") for address in self.known_at]
        brokers = {n: Fake(host=host.strip("[]"), port=port) for n, (host, _, port) in
                   enumerate(pairs)}  # fmt: skip
        return Fake(brokers=brokers, topics=dict.fromkeys(NAMES, topic) if knows else {})

    def _offsets(self, wanted: dict[Any, Any]) -> dict[Any, Any]:
        found = {}
        for partition in wanted:
            found[partition] = future = Future[Any]()
            if self.now >= self.leads_at or partition.topic == "a":
                future.set_result(None)
            else:
                error = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
                future.set_exception(KafkaException(error))
        assert {(p.topic, p.partition) for p in found} == {(n, p) for n in NAMES for p in (0, 1)}
        return found


def waited(cluster: Cluster, timeout_s: float = 30.0) -> tuple[list[str], float]:
    """Return the topics that nobody leads, and how long it took to say so."""
    unled = leaderless_topics(
        cluster.connect, "one:9092", NAMES, timeout_s, now=lambda: cluster.now, sleep=cluster.sleep
    )
    return unled, round(cluster.now, 1)


@pytest.mark.parametrize(
    ("cluster", "took_s"),
    [
        (Cluster({"one:9092": 0}), 0.0),
        (Cluster({"one:9092": 1, "two:9092": 0}), 1.0),
        (Cluster({"one:9092": 0, "two:9092": 2, "[::1]:9094": 3}), 3.0),
        (Cluster({"one:9092": 0}, led_at=4), 4.0),
        (Cluster({"one:9092": 0}, leads_at=5), 5.0),
        (Cluster({"one:9092": 0, "two:9092": 1}, led_at=2, leads_at=3), 3.0),
    ],
)
def test_every_broker_and_every_leader_must_know(cluster: Cluster, took_s: float) -> None:
    """A producer that asked the last of them was refused: unknown topic, or not the leader."""
    assert waited(cluster) == ([], took_s)


def test_a_broker_that_goes_away_is_waited_for_and_named_in_the_end() -> None:
    """It may come back with what it knew."""
    cluster = Cluster({"one:9092": 0, "two:9092": 0})
    cluster.away.add("two:9092")
    unled, took_s = waited(cluster, 2.0)
    assert (unled, took_s >= 2.0) == (NAMES, True)


def test_what_is_not_led_in_time_is_named() -> None:
    """Only that."""
    assert waited(Cluster({"one:9092": 0}, leads_at=99), 2.0)[0] == ["b"]


def test_no_broker_at_all_is_an_error() -> None:
    """The caller says where it asked."""
    cluster = Cluster({"one:9092": 0})
    cluster.away.add("one:9092")
    with pytest.raises(KafkaException):
        waited(cluster)
