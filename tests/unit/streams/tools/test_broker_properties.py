"""The settings of a local broker."""

from streams.config.topics import TopicNames, topic_specs
from streams.tools.broker.properties import Node, new_cluster_id, render, server_properties

NODE = Node(port=21000, controller_port=21001, log_dir="/data/kafka")


def test_listens_on_loopback_only() -> None:
    """A laptop's broker has no password; nobody else on the network may reach it."""
    settings = server_properties(NODE)
    addresses = settings["listeners"] + "," + settings["advertised.listeners"]
    assert {part.split("//")[1].split(":")[0] for part in addresses.split(",")} == {"127.0.0.1"}


def test_takes_the_largest_message_of_any_topic() -> None:
    """A topic's limit above the broker's would still replicate, but fetch sizes would not fit."""
    largest = max(int(s.config["max.message.bytes"]) for s in topic_specs(TopicNames()))
    assert int(server_properties(NODE)["message.max.bytes"]) >= largest


def test_internal_topics_do_with_one_node() -> None:
    """Kafka's defaults ask for three replicas, which one node never has."""
    settings = server_properties(NODE)
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert settings[f"{topic}.replication.factor"] == "1"
    for topic in ("transaction.state.log", "share.coordinator.state.topic"):
        assert settings[f"{topic}.min.isr"] == "1"


def test_rendered_as_java_properties() -> None:
    """One setting a line; backslashes and what is not ASCII are escaped as Java reads them."""
    assert render({"a": "1", "log.dirs": "C:\\kafka"}) == "a=1\nlog.dirs=C:\\\\kafka\n"
    assert render({"a": "/müsli/😀"}) == "a=/m\\u00fcsli/\\ud83d\\ude00\n"


def test_cluster_ids_are_distinct_and_no_options() -> None:
    """22 characters of URL-safe base64; a leading dash would be read as an option."""
    ids = {new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert {len(i) for i in ids} == {22}
    assert not any(i.startswith("-") for i in ids)
