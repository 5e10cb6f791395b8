"""The demonstration's environment: broker, temporary topics and worker, removed afterwards."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.config.settings import Settings
from streams.config.topics import topic_specs
from streams.kafka.scan import Scanner
from streams.kafka.topics import create_topics, delete_topics
from streams.tools.broker import BrokerInfo, broker_status, start_broker, stop_broker
from visualsearch.errors import VisualSearchError
from visualsearch.private import make_folder

USUAL_PORT = 9092
_READY = re.compile(rb"worker ready: (http://\S+)")
_START_S = 180.0  # a first start may compile and import for a while
_STOP_S = 30.0
_TAIL = 15


class DemoError(VisualSearchError):
    """The demonstration's worker failed, or made no product searchable."""

    code = "worker_failed"


@contextmanager
def running_broker(folder: Path, bootstrap: str | None) -> Iterator[BrokerInfo]:
    """Yield a broker; stop it afterwards if it was not running before. Raises BrokerError."""
    ours = bootstrap is None and broker_status(folder) is None
    info = start_broker(folder, bootstrap=bootstrap, preferred_port=USUAL_PORT)
    try:
        yield info
    finally:
        if ours:
            stop_broker(folder)


@contextmanager
def temporary_topics(settings: Settings) -> Iterator[None]:
    """Create the topics under the settings' prefix, and delete them afterwards.

    Each run has its own prefix, so that the next one starts empty and at once.
    """
    specs = topic_specs(settings.topics)
    create_topics(settings.bootstrap, specs)
    try:
        yield
    finally:
        delete_topics(settings.bootstrap, [spec.name for spec in specs])


@dataclass(slots=True)
class WorkerProcess:
    """A worker in a process of its own, as in production; its log goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_ready(self, timeout_s: float = _START_S) -> str:
        """Return its base URL once it is ready. Raises DemoError with the end of its log."""
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            written = self.log.read_bytes()
            if found := _READY.search(written):
                return found[1].decode().rstrip("/")
            if self.process.poll() is not None:
                tail = "\n".join(written.decode(errors="replace").splitlines()[-_TAIL:])
                raise DemoError(f"the worker ended with {self.process.returncode}:\n{tail}")
            time.sleep(0.1)
        raise DemoError(f"the worker was not ready in {timeout_s:.0f} s, see {self.log}")

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL after a timeout; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def running_worker(settings: Settings, port: int, log: Path) -> Iterator[WorkerProcess]:
    """Start a worker; stop it when the context ends.

    It runs in a session of its own, so that Ctrl-C does not reach it before the context ends.
    """
    make_folder(log.parent)
    environ = os.environ | {
        "VISUALSEARCH_BOOTSTRAP": settings.bootstrap,
        "VISUALSEARCH_TOPIC_PREFIX": settings.topic_prefix,
        "VISUALSEARCH_DATA_DIR": str(settings.data_dir.absolute()),
        "VISUALSEARCH_ENCODER": settings.encoder,
        "VISUALSEARCH_HTTP_HOST": settings.http_host,
        "VISUALSEARCH_HTTP_PORT": str(port),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    worker = WorkerProcess(process, log)
    try:
        yield worker
    finally:
        worker.stop()


def count_messages(settings: Settings, topic: str) -> int:
    """Return how many messages a topic holds."""
    with Scanner(settings.kafka()) as scanner:
        return sum(span.end - span.start for span in scanner.offset_ranges(topic))
