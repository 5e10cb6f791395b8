"""The topics on a real broker."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace

import pytest
from confluent_kafka import Producer

from streams.config.topics import TopicNames, topic_specs
from streams.kafka.topics import Mismatch, TopicError, create_topics, describe_topics
from streams.tools.broker import BrokerInfo
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer as OurProducer


@pytest.fixture
def names() -> TopicNames:
    """Give names that no topic has yet."""
    return TopicNames.with_prefix(f"t{uuid.uuid4().hex[:10]}-")


def test_created_once_as_designed(kafka: BrokerInfo, names: TopicNames) -> None:
    """The first call makes all eleven, the second none, and both find them as they should be."""
    specs = topic_specs(names)
    assert {s.status for s in describe_topics(kafka.bootstrap, specs)} == {"missing"}
    first = create_topics(kafka.bootstrap, specs)
    assert (first.created, first.existing, first.mismatches) == (astuple(names), (), ())
    second = create_topics(kafka.bootstrap, specs)
    assert (second.created, second.existing, second.mismatches) == ((), astuple(names), ())
    states = describe_topics(kafka.bootstrap, specs)
    assert [s.partitions for s in states] == [s.partitions for s in specs]
    assert {s.status for s in states} == {"ok"}


def test_only_what_is_missing_is_created(kafka: BrokerInfo, names: TopicNames) -> None:
    """A cluster that has some of the topics gets the others."""
    specs = topic_specs(names)
    create_topics(kafka.bootstrap, specs[:4])
    report = create_topics(kafka.bootstrap, specs)
    assert report.existing == tuple(s.name for s in specs[:4])
    assert report.created == tuple(s.name for s in specs[4:])


def test_difference_is_reported_and_left_alone(kafka: BrokerInfo, names: TopicNames) -> None:
    """Partitions and configs of an existing topic are the operator's to change."""
    specs = topic_specs(names, products=2)
    create_topics(kafka.bootstrap, specs)
    other = [
        replace(specs[0], partitions=3, config={**specs[0].config, "retention.ms": "1000"}),
        *specs[1:],
    ]
    report = create_topics(kafka.bootstrap, other)
    assert report.created == ()
    assert report.mismatches == (
        Mismatch(names.product_events, "partitions", "3", "2"),
        Mismatch(names.product_events, "retention.ms", "1000", "-1"),
    )
    assert describe_topics(kafka.bootstrap, specs)[0].status == "ok"


def test_creating_from_several_processes_at_once(kafka: BrokerInfo, names: TopicNames) -> None:
    """Workers that start together all succeed, and each topic is created by one of them."""
    specs = topic_specs(names)
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: create_topics(kafka.bootstrap, specs), range(4)))
    created = [name for report in reports for name in report.created]
    assert sorted(created) == sorted(astuple(names))
    assert not any(report.mismatches for report in reports)


def test_no_broker_is_an_error_with_its_address(names: TopicNames) -> None:
    """Within the time given, not librdkafka's."""
    with pytest.raises(TopicError, match=r"127\.0\.0\.1:1") as caught:
        create_topics("127.0.0.1:1", topic_specs(names), timeout_s=1)
    assert caught.value.code == "unreachable"


def test_producers_may_send_once_topics_are_created(kafka: BrokerInfo) -> None:
    """To each partition of each topic, at once and without a second try."""
    failed: list[str] = []
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "retries": 0, "message.timeout.ms": 30_000}
    )
    for _ in range(10):
        names = TopicNames.with_prefix(f"t{uuid.uuid4().hex[:10]}-")
        specs = topic_specs(names)
        create_topics(kafka.bootstrap, specs)
        for spec in specs:
            for partition in range(spec.partitions):
                producer.produce(
                    spec.name, b"{}", b"p", partition,
                    on_delivery=lambda error, _: failed.append(str(error)) if error else None,
                )  # fmt: skip
        assert producer.flush(30) == 0
    assert failed == []


def test_the_first_send_of_an_idempotent_producer_succeeds(
    kafka: BrokerInfo, names: TopicNames
) -> None:
    """Its identity is asked for first, from whichever broker."""
    create_topics(kafka.bootstrap, topic_specs(names))
    producer = OurProducer({"bootstrap.servers": kafka.bootstrap}, linger_ms=0)
    try:
        for name in astuple(names):
            producer.submit(OutgoingMessage(name, b"p", b"{}")).result(30)
    finally:
        producer.close()
