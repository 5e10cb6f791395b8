"""One broker for the whole tier (of each process), and fresh topics for each test."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from streams.config.topics import TopicNames, topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerError, BrokerInfo, start_broker, stop_broker
from tests.support.notes import NOTES
from tests.support.peer import Peer

BROKER, NO_BROKER = "broker", "no broker"
# What a machine lacks; anything else (a broker that does not start) is a failure everywhere.
LACKING = {"java_missing", "java_too_old", "maven_missing", "maven_failed", "no_broker"}


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def kafka(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerInfo]:
    """Give a running broker: Apache Kafka, or the one that VISUALSEARCH_TEST_BOOTSTRAP names.

    With CI=true a missing broker is a failure; elsewhere the tier is skipped aloud.
    """
    given = os.environ.get("VISUALSEARCH_TEST_BOOTSTRAP")
    data_dir = tmp_path_factory.mktemp("broker")
    try:
        info = start_broker(data_dir, bootstrap=given)
    except BrokerError as error:
        if _in_ci() or error.code not in LACKING:
            raise
        pytestconfig.stash[NOTES].add(NO_BROKER, str(error))
        pytest.skip("no broker on this machine")
    pytestconfig.stash[NOTES].add(BROKER, info.label)
    yield info
    stop_broker(data_dir)


@pytest.fixture
def topic_names(kafka: BrokerInfo) -> TopicNames:
    """Give topics of this test's own, created with few partitions."""
    names = TopicNames.with_prefix(f"t{uuid.uuid4().hex[:10]}-")
    specs = topic_specs(
        names, products=2, index_log=2, search_requests=2, search_results=2, product_retry=1
    )
    create_topics(kafka.bootstrap, specs)
    return names


@pytest.fixture
def peer(kafka: BrokerInfo, topic_names: TopicNames) -> Iterator[Peer]:
    """Give the other side of a client on topics of its own."""
    with ExitStack() as stack:
        yield Peer(stack, kafka.bootstrap, topic_names)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which brokers the tier ran on, loudly where there was none."""
    notes = config.stash[NOTES]
    if lacking := notes.about(NO_BROKER):
        terminalreporter.section("LEFT OUT: the integration tier", sep="!", red=True)
        for line in lacking:
            terminalreporter.write_line(line, red=True)
    if labels := notes.about(BROKER):
        terminalreporter.section("broker", bold=True)
        for label in labels:
            terminalreporter.write_line(f"integration tier ran against {label}")
