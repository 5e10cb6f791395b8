"""`visualsearch fsck` as operators and their scripts meet it: a process, a status, JSON."""

import asyncio
import json
from pathlib import Path

import pytest
from PIL import Image

from streams.tools.broker import BrokerInfo
from tests.support.commands import commands
from tests.support.harness import make_settings, make_topics
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.client.producer import Producer
from visualsearch.contracts.records import BaseLogRecord, encode_record, record_key

pytestmark = pytest.mark.deep


def catalogue(folder: Path) -> Path:
    """Write a catalog of three products."""
    rows = []
    for name in ("red", "green", "blue"):
        Image.new("RGB", (64, 64), name).save(folder / f"{name}.png")
        rows.append({"product_id": name, "title": name, "images": [{"path": f"{name}.png"}]})
    file = folder / "catalog.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_the_command_says_clean_then_what_was_lost(kafka: BrokerInfo, tmp_path: Path) -> None:
    """With the real encoder in both processes; the status is what a script looks at."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    with commands(kafka.bootstrap, settings.topic_prefix, tmp_path) as cli:
        cli.run("load", catalogue(tmp_path))
        report = cli.json("fsck", "--http", cli.url, "--all")
        assert (report["verdict"], sum(report["counts"].values())) == ("clean", 0)
        assert (report["expected"], report["served"], report["pictures_compared"]) == (3, 3, 3)
        assert report["model"].startswith("lite")
        with Producer(settings.kafka()) as producer:
            log = settings.topics.index_log
            record = encode_record(BaseLogRecord(order=(2**50, 0, 0), deleted=True))
            partition = partition_of("red", 2)
            key = record_key("base", "red")
            asyncio.run(producer.send([OutgoingMessage(log, key, record, partition)]))
        done = cli.run("fsck", "--http", cli.url, "--sample", "0", status=1)
        assert "lost: red the index holds it as deleted" in done.stdout
        assert f"({settings.topics.product_events}[" in done.stdout
        assert "differences: 3 events say 3 searchable products" in done.stdout
        (example,) = cli.json("fsck", "--http", cli.url, status=1)["examples"]["lost"]
        assert example["product_id"] == "red"


def test_what_cannot_be_checked_is_no_clean_bill(kafka: BrokerInfo, tmp_path: Path) -> None:
    """Status 2 and a code: no worker, no topics, another model."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    with commands(kafka.bootstrap, settings.topic_prefix, tmp_path) as cli:
        cli.run("load", catalogue(tmp_path))
        nobody = cli.run("fsck", "--http", "http://127.0.0.1:1", status=2)
        assert "[worker_unreachable]" in nobody.stderr
        nowhere = cli.run("fsck", "--http", cli.url, "--prefix", "no-such-", status=2)
        assert "[topics_missing]" in nowhere.stderr
        other = tmp_path / "other.toml"
        other.write_text('encoder = "no-such-encoder"')
        model = cli.run("fsck", "--http", cli.url, "--config", other, status=2)
        assert "[encoder_unavailable]" in model.stderr
        assert {x.stdout for x in (nobody, nowhere, model)} == {""}
