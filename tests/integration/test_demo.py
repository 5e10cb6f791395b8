"""`demo --once --json`: everything started, measured and taken down again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.config.topics import topic_specs
from streams.tools.broker import BrokerInfo
from streams.tools.demo.stage import DemoError, WorkerProcess
from tests.support.commands import GRACE_S, ROOT, run_to_end
from tests.support.fakes import jpeg

PRODUCTS = 40
PATIENCE_S = 500


def demo(kafka: BrokerInfo, folder: Path, *arguments: str) -> dict[str, object]:
    """Run a small demonstration on the tier's broker and return its figures."""
    command = [sys.executable, "-m", "streams.cli", "demo", "--once", "--json", "--bootstrap",
               kafka.bootstrap, "--events", "24", "--searches", "30", *arguments]  # fmt: skip
    done = run_to_end(command, folder, os.environ | {"PYTHONPATH": str(ROOT)}, PATIENCE_S)
    assert done.returncode == 0, done.stderr[-3000:]
    figures: dict[str, object] = json.loads(done.stdout)
    return figures


def topics_left(kafka: BrokerInfo) -> list[str]:
    """Return the topics of demonstrations that are still there."""
    from confluent_kafka.admin import AdminClient

    names = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    return [name for name in names if name.startswith("demo-")]


@pytest.mark.timeout(PATIENCE_S + 2 * GRACE_S)
def test_demo_of_the_drawn_catalogue(kafka: BrokerInfo, tmp_path: Path) -> None:
    """Every figure of the contract is there, the images are right, and nothing is left over."""
    figures = demo(kafka, tmp_path, "--products", str(PRODUCTS))
    assert (figures["products"], figures["vectors"]) == (PRODUCTS, 2 * PRODUCTS)
    assert (figures["dead_letters"], figures["rejected"]) == (0, 0)
    fresh, search = figures["freshness_ms"], figures["search_ms"]
    assert isinstance(fresh, dict)
    assert isinstance(search, dict)
    assert {"create", "update", "offer", "delete"} <= fresh.keys()
    assert {"words", "photo"} <= search.keys()
    for spread in (fresh, search, fresh["delete"], search["photo"]):
        assert 0 < spread["p50"] <= spread["p99"]
    assert (fresh["n"], search["n"]) == (24, 30)
    # Two products of each of 20 kinds: far above chance (5 %); the full catalog has the bars.
    for name in ("top10_kind_precision", "top10_color_precision", "photo_kind_precision"):
        share = figures[name]
        assert isinstance(share, float)
        assert share >= (0.5 if name.startswith("photo") else 0.7), name
    page = (tmp_path / str(figures["page"])).read_text()
    assert page.count("<li>") > 30
    assert page.count('src="data:image/jpeg') == page.count("<img"), "a picture is missing"
    assert topics_left(kafka) == []


@pytest.mark.deep
@pytest.mark.timeout(PATIENCE_S + 2 * GRACE_S)
def test_demo_with_a_worker_that_is_killed(kafka: BrokerInfo, tmp_path: Path) -> None:
    """The load goes on, the first answer is timed, and fsck finds all there and nothing else."""
    few = ("--products", "20", "--events", "8", "--searches", "3")
    figures = demo(kafka, tmp_path, "--chaos", *few)
    assert (figures["products"], figures["dead_letters"]) == (20, 0)
    chaos = figures["chaos"]
    assert isinstance(chaos, dict)
    assert 0 < chaos["first_answer_s"] < 120
    fsck = chaos["fsck"]
    assert fsck["verdict"] == "clean", fsck
    assert fsck["served"] == fsck["expected"] >= 20
    assert fsck["pictures_compared"] > 0
    logs = [tmp_path / ".visualsearch" / "demo" / name for name in ("worker.log", "worker-2.log")]
    killed, successor = (log.read_text() for log in logs)
    assert "worker ready" in killed
    assert "worker ready" in successor
    assert "stopping" not in killed, "it was stopped, not killed"
    assert topics_left(kafka) == []


@pytest.mark.timeout(PATIENCE_S + 2 * GRACE_S)
def test_demo_of_a_users_catalogue(kafka: BrokerInfo, tmp_path: Path) -> None:
    """Anybody's images are shown; what nobody knows about them is not judged."""
    shop = tmp_path / "shop"
    for number in range(8):
        (shop / f"Group {number % 2}").mkdir(parents=True, exist_ok=True)
        picture = jpeg((30 * number, 255 - 30 * number, 40), side=64)
        (shop / f"Group {number % 2}" / f"thing {number}.jpg").write_bytes(picture)
    (shop / "Group 0" / "broken.jpg").write_text("I am a text file.")
    figures = demo(kafka, tmp_path, "--catalog", str(shop))
    assert (figures["products"], figures["rejected"]) == (8, 1)
    assert figures["top10_kind_precision"] is None
    assert figures["dead_letters"] == 0


def test_a_worker_that_fails_is_said_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Nobody waits for minutes for a worker that is gone."""
    log = tmp_path / "worker.log"
    log.write_text("Error: topics are missing [topics_missing]\n")
    with subprocess.Popen(["false"]) as gone:
        gone.wait()
    with pytest.raises(DemoError, match="topics_missing"):
        WorkerProcess(gone, log).wait_ready()


def test_topics_of_a_demonstration_are_its_own() -> None:
    """The default topics of a shop are never among those that a demonstration deletes."""
    from streams.config.topics import TopicNames

    ours = {spec.name for spec in topic_specs(TopicNames.with_prefix("demo-1-"))}
    assert not ours & {spec.name for spec in topic_specs(TopicNames())}
