"""`visualsearch tune` on the index of a running worker: its vectors, no model call for them."""

import asyncio
import json
import tomllib
from pathlib import Path as Folder
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.config.settings import load_settings
from streams.tools.broker import BrokerInfo
from tests.support.fakes import FakeEncoder
from tests.support.harness import inline, running_path
from tests.support.path_events import created


async def test_settings_are_measured_on_a_workers_index(
    kafka: BrokerInfo, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file it writes is one that a worker takes; an SLO out of reach writes none."""
    encoder = FakeEncoder()
    monkeypatch.setattr("visualsearch.load_encoder", lambda *_, **__: encoder, raising=False)
    queries, out = tmp_path / "q.jsonl", tmp_path / "tuned.toml"
    queries.write_text(
        '{"text": "a", "relevant": ["p1"]}\n'
        '{"text": "b", "relevant": ["p2"], "filters": {"in_stock": true}}\n'
    )

    def run(worker: str, *more: str) -> Any:
        files = ["--queries", str(queries), "--out", str(out), "--top-k", "3"]
        return CliRunner().invoke(main, ["tune", *files, "--http", worker, "--json", *more])

    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(*(created(f"p{n}", inline(n), in_stock=n % 2 == 0) for n in range(8)))
        await path.settled()
        done = await asyncio.to_thread(run, path.url, "--slo-ms", "10000")
        assert done.exit_code == 0, done.output
        assert encoder.images_seen == 0
        report = json.loads(done.stdout)
        assert (report["products"], report["vectors"], report["queries"]) == (8, 8, 2)
        assert report["chosen"] == {"recall_target": 0.98}
        assert tomllib.loads(out.read_text()) == report["chosen"]
        assert load_settings(out).recall_target == 0.98
        out.unlink()
        done = await asyncio.to_thread(run, path.url, "--slo-ms", "0.000001")
        assert (done.exit_code, out.exists()) == (1, False)
        assert "slo_not_met" in done.stderr
        encoder.model_id = "another"  # type: ignore[misc]
        done = await asyncio.to_thread(run, path.url)
        assert "foreign_model" in done.stderr
    done = await asyncio.to_thread(run, "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert "role search" in done.stderr
