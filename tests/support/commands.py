"""The command line in processes of its own, most often against a worker in another."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from streams.config.settings import Settings, load_settings
from streams.tools.demo.stage import running_worker

ROOT = Path(__file__).parents[2]
GRACE_S = 40.0


def run_to_end(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], patience_s: float
) -> subprocess.CompletedProcess[str]:
    """Run what starts processes of its own; return its status and output, however it ended.

    Past `patience_s` it gets a SIGTERM, to take down what it started and to be heard.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        timers = [
            threading.Timer(after_s, _signal_group, (process.pid, sign))
            for after_s, sign in (
                (patience_s, signal.SIGTERM),
                (patience_s + GRACE_S, signal.SIGKILL),
            )
        ]
        for timer in timers:
            timer.start()
        try:
            stdout, stderr = process.communicate()
        finally:
            for timer in timers:
                timer.cancel()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _signal_group(pid: int, sign: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, sign)


class Commands:
    """Runs `visualsearch` against one broker and one prefix."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings = settings
        self.url = url

    def run(self, *arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command and check its exit status."""
        environ = os.environ | {
            "VISUALSEARCH_BOOTSTRAP": self.settings.bootstrap,
            "VISUALSEARCH_TOPIC_PREFIX": self.settings.topic_prefix,
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *map(str, arguments)],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done

    def json(self, *arguments: str | Path, status: int = 0) -> Any:
        """Run a command whose standard output is JSON and nothing else."""
        return json.loads(self.run(*arguments, "--json", status=status).stdout)


@contextmanager
def commands(bootstrap: str, prefix: str, folder: Path) -> Iterator[Commands]:
    """Give the commands while a worker with the lite encoder is up; it must end well."""
    settings = load_settings(
        bootstrap=bootstrap, topic_prefix=prefix, data_dir=folder / "data", encoder="lite"
    )
    with running_worker(settings, 0, folder / "worker.log") as worker:
        yield Commands(settings, worker.wait_ready())
        assert worker.stop() == 0, worker.log.read_text()[-3000:]
