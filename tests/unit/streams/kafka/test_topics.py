"""The topics as data."""

from dataclasses import astuple

import pytest

from streams.config.topics import TopicNames, TopicSpec, topic_specs
from streams.kafka.topics import Mismatch, _state

MIB = 1024 * 1024


def spec(name: str) -> TopicSpec:
    """Return the spec of one topic."""
    return next(s for s in topic_specs(TopicNames()) if s.name == name)


def test_prefix_leads_every_name() -> None:
    """Nothing is put between; the names are otherwise the contract's."""
    assert TopicNames.with_prefix("") == TopicNames()
    prefixed = astuple(TopicNames.with_prefix("shop-"))
    assert prefixed == tuple(f"shop-{name}" for name in astuple(TopicNames()))
    assert len(set(prefixed)) == 11


def test_product_topics_are_the_five() -> None:
    """The recommended one leads."""
    assert TopicNames().product_topics() == (
        "product-events",
        "product-created",
        "product-updated",
        "product-offer-updated",
        "product-deleted",
    )


def test_every_name_has_one_spec() -> None:
    """A topic without a spec would never be created."""
    assert sorted(s.name for s in topic_specs(TopicNames())) == sorted(astuple(TopicNames()))


@pytest.mark.parametrize(
    ("name", "partitions", "mib"),
    [
        ("product-events", 4, 10),
        ("product-deleted", 4, 10),
        ("index-log", 8, 10),
        ("search-requests", 8, 10),
        ("search-results", 4, 4),
        ("product-retry", 4, 11),
        ("dead-letters", 1, 11),
        ("workers", 1, 1),
    ],
)
def test_partitions_and_sizes(name: str, partitions: int, mib: int) -> None:
    """The limits of the contract; what carries an event and its story has room for both."""
    assert spec(name).partitions == partitions
    assert int(spec(name).config["max.message.bytes"]) == mib * MIB


def test_product_topics_are_ordered_by_the_brokers_clock_and_kept() -> None:
    """Compaction would keep a last offer and forget the product behind it."""
    for name in TopicNames().product_topics():
        config = spec(name).config
        assert config["message.timestamp.type"] == "LogAppendTime"
        assert config["cleanup.policy"] == "delete"
        assert config["retention.ms"] == "-1"


def test_only_the_index_log_is_compacted_and_not_before_a_day() -> None:
    """Readers need a day to see both of two records that came in the wrong order."""
    compacted = [
        s.name for s in topic_specs(TopicNames()) if s.config["cleanup.policy"] == "compact"
    ]
    assert compacted == ["index-log"]
    assert int(spec("index-log").config["min.compaction.lag.ms"]) == 24 * 3600 * 1000


def test_a_heartbeat_has_the_brokers_time_and_goes_a_day_after_its_worker() -> None:
    """Each start has an id of its own: compaction alone would keep them all."""
    config = spec("workers").config
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["cleanup.policy"] == "compact,delete"
    assert int(config["retention.ms"]) == 24 * 3600 * 1000


def test_difference_is_found_in_partitions_and_in_named_configs_only() -> None:
    """A config that the spec does not name is the operator's."""
    wanted = TopicSpec("t", 4, {"cleanup.policy": "delete"})
    same = _state(wanted, 4, {"cleanup.policy": "delete", "retention.ms": "1"})
    assert same.status == "ok"
    other = _state(wanted, 2, {"cleanup.policy": "compact"})
    assert other.status == "mismatch"
    assert other.mismatches == (
        Mismatch("t", "partitions", "4", "2"),
        Mismatch("t", "cleanup.policy", "delete", "compact"),
    )
    assert _state(wanted, None, {}).status == "missing"
