"""One broker for the whole tier, and fresh topics for each test."""

import os
import uuid
from collections.abc import Iterator

import pytest

from streams.broker import BrokerError, BrokerInfo, start_broker, stop_broker
from streams.topics import TopicNames, create_topics, topic_specs

BROKER = pytest.StashKey[BrokerInfo]()
NO_BROKER = pytest.StashKey[str]()
# What a machine lacks; anything else (a broker that does not start) is a failure everywhere.
LACKING = {"java_missing", "java_too_old", "maven_missing", "maven_failed", "no_broker"}


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def kafka(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerInfo]:
    """Give a running broker: Apache Kafka, or the one that VISUALSEARCH_TEST_BOOTSTRAP names.

    With CI=true nothing but Apache Kafka will do; elsewhere Tansu is better than no test, and
    where there is not even that, the tier is skipped aloud.
    """
    given = os.environ.get("VISUALSEARCH_TEST_BOOTSTRAP")
    data_dir = tmp_path_factory.mktemp("broker")
    try:
        info = start_broker(data_dir, bootstrap=given, allow_tansu=not _in_ci())
    except BrokerError as error:
        if _in_ci() or error.code not in LACKING:
            raise
        pytestconfig.stash[NO_BROKER] = str(error)
        pytest.skip("no broker on this machine")
    pytestconfig.stash[BROKER] = info
    yield info
    stop_broker(data_dir)


@pytest.fixture
def apache_kafka(kafka: BrokerInfo) -> BrokerInfo:
    """Give the broker to a test of what Tansu does not do; skip it there."""
    if kafka.kind == "tansu":
        pytest.skip("needs Apache Kafka; this tier runs on Tansu")
    return kafka


@pytest.fixture
def topic_names(kafka: BrokerInfo) -> TopicNames:
    """Give topics of this test's own, created with few partitions."""
    names = TopicNames.with_prefix(f"t{uuid.uuid4().hex[:10]}-")
    specs = topic_specs(
        names, products=2, index_log=2, search_requests=2, search_results=2, product_retry=1
    )
    create_topics(kafka.bootstrap, specs)
    return names


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which broker the tier ran on, loudly where it is not Apache Kafka."""
    if lacking := config.stash.get(NO_BROKER, None):
        terminalreporter.section("LEFT OUT: the integration tier", sep="!", red=True)
        terminalreporter.write_line(lacking, red=True)
    info = config.stash.get(BROKER, None)
    if info is None:
        return
    loud = info.kind == "tansu"
    terminalreporter.section("broker", red=loud, bold=True)
    terminalreporter.write_line(f"integration tier ran against {info.label}", red=loud)
    if loud:
        terminalreporter.write_line(
            "NOT Apache Kafka: tests that need it were skipped. Install Java 17 and Maven, or set "
            "KAFKA_HOME, and run again.",
            red=True,
            bold=True,
        )
