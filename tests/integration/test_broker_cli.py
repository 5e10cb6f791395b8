"""`visualsearch broker` and `visualsearch topics`, as a person or a script runs them."""

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.config.topics import TopicNames
from streams.tools.broker import BrokerInfo, stop_broker


def run(*arguments: str) -> Result:
    """Run a command; its standard output and error are apart."""
    return CliRunner().invoke(main, arguments, env={"KAFKA_HOME": ""})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """Give a data folder whose broker is stopped at the end."""
    yield str(tmp_path / "broker")
    stop_broker(tmp_path / "broker")


def test_start_status_stop(kafka: BrokerInfo, folder: str) -> None:
    """Standard output is one JSON object each time, and exit codes say how it is."""
    absent = run("broker", "status", "--json", "--data-dir", folder)
    assert absent.exit_code == 3
    assert json.loads(absent.stdout) == {"running": False, "answering": False}

    started = run("broker", "start", "--json", "--data-dir", folder)
    assert started.exit_code == 0, started.output
    info = json.loads(started.stdout)
    assert (info["kind"], info["running"]) == ("apache-kafka", True)
    status = run("broker", "status", "--json", "--data-dir", folder)
    assert status.exit_code == 0
    assert json.loads(status.stdout) == info
    assert info["bootstrap"] in run("broker", "status", "--data-dir", folder).stdout

    stopped = run("broker", "stop", "--json", "--data-dir", folder)
    assert json.loads(stopped.stdout) == {"stopped": True}
    assert run("broker", "status", "--data-dir", folder).exit_code == 3


def test_existing_broker_is_named(kafka: BrokerInfo) -> None:
    """With --bootstrap nothing is started."""
    result = run("broker", "start", "--json", "--bootstrap", kafka.bootstrap)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["kind"] == "external"


def test_error_is_one_line_on_standard_error(folder: str) -> None:
    """It carries its code; standard output stays empty, so that no script reads half an object."""
    result = run("broker", "start", "--json", "--data-dir", folder, "--bootstrap", "127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "[unreachable]" in result.stderr


def test_topics_create_and_describe(kafka: BrokerInfo, topic_names: TopicNames) -> None:
    """Creating reports what is there; other partitions are a mismatch and exit code 2."""
    prefix = topic_names.index_log.removesuffix("index-log")
    where = ("--bootstrap", kafka.bootstrap, "--prefix", prefix)
    created = run("topics", "create", "--json", *where)
    assert created.exit_code == 2
    report = json.loads(created.stdout)
    assert (report["created"], report["existing"]) == ([], list(astuple(topic_names)))
    differing = {item["topic"] for item in report["mismatches"]}
    assert topic_names.index_log in differing

    described = run("topics", "describe", "--json", *where)
    assert described.exit_code == 0
    rows = {row["name"]: row for row in json.loads(described.stdout)["topics"]}
    assert rows[topic_names.index_log]["partitions"] == 2
    assert rows[topic_names.index_log]["config"]["cleanup.policy"] == "compact"
    assert "index-log: partitions is 2, not 8" in run("topics", "describe", *where).stdout


def test_topics_created_anew(kafka: BrokerInfo, topic_names: TopicNames) -> None:
    """A fresh prefix has everything made, and the exit code is 0."""
    prefix = f"{topic_names.index_log}-again-"
    result = run("topics", "create", "--bootstrap", kafka.bootstrap, "--prefix", prefix)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("created") >= 10
