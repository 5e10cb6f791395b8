"""The worker as a process: it starts or says why not, and it always stops in time."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from streams.config.topics import TopicNames, topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo, start_broker, stop_broker
from streams.tools.broker.ports import free_port
from tests.support.harness import make_settings, make_topics

Spawn = Callable[..., "subprocess.Popen[str]"]
READY = re.compile(r"ready: http://127\.0\.0\.1:\d+/")
DEADLINE_S = 25.0 + 5.0  # the worker keeps 25; a busy machine takes time to end and see it


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start workers whose log is in `worker.log`; kill what a test leaves."""
    started: list[subprocess.Popen[str]] = []

    def start(bootstrap: str, prefix: str, *more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", "from streams.cli import main; main()", "worker",
                   "--bootstrap", bootstrap, "--prefix", prefix, "--port", "0", *more]  # fmt: skip
        env = os.environ | {"VISUALSEARCH_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
        with (tmp_path / "worker.log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=env)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def log_of(tmp_path: Path) -> str:
    """Return what the worker said."""
    return (tmp_path / "worker.log").read_text()


def await_ready(process: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """Return when the worker says that it is ready."""
    give_up_at = time.monotonic() + 240
    while not READY.search(log_of(tmp_path)):
        assert process.poll() is None, log_of(tmp_path)
        assert time.monotonic() < give_up_at, log_of(tmp_path)
        time.sleep(0.1)


def stop(process: "subprocess.Popen[str]", sign: int = signal.SIGTERM) -> tuple[int, float]:
    """Send a signal; return the exit status and the seconds that it took."""
    started = time.monotonic()
    process.send_signal(sign)
    return process.wait(2 * DEADLINE_S), time.monotonic() - started


@pytest.fixture
def topics(kafka: BrokerInfo, tmp_path: Path) -> Any:
    """Give settings whose topics exist."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    return settings


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_in_time_and_cleanly(
    topics: Any, spawn: Spawn, tmp_path: Path, sign: int
) -> None:
    """Exit 0 within 25 s, with the real encoder and all its threads."""
    process = spawn(topics.bootstrap, topics.topic_prefix)
    await_ready(process, tmp_path)
    status, took_s = stop(process, sign)
    assert status == 0, log_of(tmp_path)
    assert took_s < DEADLINE_S
    assert "Traceback" not in log_of(tmp_path)


def test_a_signal_answers_the_searches_that_are_waiting(
    topics: Any, spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for an image host that hangs, for ten minutes if need be; the worker does not."""
    monkeypatch.setenv("VISUALSEARCH_FETCH_ALLOW", '["127.0.0.0/8"]')
    for name in ("FETCH_TIMEOUT_S", "FETCH_READ_TIMEOUT_S"):
        monkeypatch.setenv(f"VISUALSEARCH_{name}", "600")
    with socket.create_server(("127.0.0.1", 0)) as host, ThreadPoolExecutor(8) as pool:
        process = spawn(topics.bootstrap, topics.topic_prefix)
        await_ready(process, tmp_path)
        url = READY.search(log_of(tmp_path))[0].removeprefix("ready: ")  # type: ignore[index]
        image = f"http://127.0.0.1:{host.getsockname()[1]}/a.jpg"
        body = {"query": {"image": image}, "deadline_ms": 600_000}
        answers = [pool.submit(_post, f"{url}v1/search", body) for _ in range(8)]
        host.settimeout(60)
        with host.accept()[0]:  # the searches are in work
            told_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            for answer in answers:
                status, result = answer.result(20)
                assert (status, result["error"]["code"]) == (503, "stopping")
        assert time.monotonic() - told_at < 5.0
        assert process.wait(DEADLINE_S) == 0, log_of(tmp_path)


def _post(url: str, body: Any) -> tuple[int, Any]:
    request = Request(url, json.dumps(body).encode())  # noqa: S310 - the worker's own
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_signal_during_the_start_ends_a_worker_in_time(
    topics: Any, spawn: Spawn, tmp_path: Path
) -> None:
    """Half started is stopped as well: two seconds in, it is loading or joining."""
    process = spawn(topics.bootstrap, topics.topic_prefix)
    give_up_at = time.monotonic() + 240
    while process.poll() is None and not _handles(process.pid, signal.SIGTERM):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    status, took_s = stop(process)
    assert status == 0, log_of(tmp_path)
    assert took_s < DEADLINE_S


def _handles(pid: int, sign: int) -> bool:
    """Return whether a process has a handler of its own for a signal (Linux)."""
    text = Path(f"/proc/{pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", text)[1], 16)  # type: ignore[index]  # always there
    return bool(caught >> (sign - 1) & 1)


def test_a_worker_stops_in_time_when_its_broker_is_gone(spawn: Spawn, tmp_path: Path) -> None:
    """Clients wait for a broker for ever; the process does not. Its log stays readable."""
    info = start_broker(tmp_path / "broker")
    try:
        settings = make_settings(info.bootstrap, tmp_path)
        make_topics(settings)
        process = spawn(info.bootstrap, settings.topic_prefix)
        await_ready(process, tmp_path)
    finally:
        stop_broker(tmp_path / "broker")
    url = READY.search(log_of(tmp_path))[0].removeprefix("ready: ")  # type: ignore[index]
    give_up_at = time.monotonic() + 30
    while "visualsearch_broker_up 0.0" not in _read(f"{url}metrics"):
        assert time.monotonic() < give_up_at
        time.sleep(0.5)
    assert process.poll() is None  # a broker may come back
    assert log_of(tmp_path).count("Kafka does not answer") == 1
    lines = len(log_of(tmp_path).splitlines())
    _, took_s = stop(process)
    assert took_s < DEADLINE_S
    assert lines < 200, f"{lines} lines"


def _read(url: str) -> str:
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - the worker's own
        text: str = answer.read().decode()
    return text


def test_without_topics_a_worker_says_which_command_makes_them(
    kafka: BrokerInfo, spawn: Spawn, tmp_path: Path
) -> None:
    """In one line, and waits: the command may run beside it."""
    process = spawn(kafka.bootstrap, "nobody-made-these-")
    give_up_at = time.monotonic() + 240
    while "visualsearch topics create" not in log_of(tmp_path):
        assert process.poll() is None, log_of(tmp_path)
        assert time.monotonic() < give_up_at, log_of(tmp_path)
        time.sleep(0.1)
    assert "nobody-made-these-index-log" in log_of(tmp_path)
    assert stop(process)[0] == 0
    assert "Traceback" not in log_of(tmp_path)
    assert len(log_of(tmp_path).splitlines()) <= 3


def test_a_worker_started_without_kafka_waits_and_goes_on(spawn: Spawn, tmp_path: Path) -> None:
    """For the broker, then for the topics: alive all the time, and ready in the end."""
    at, port = free_port(), free_port()
    process = spawn(f"127.0.0.1:{at}", "", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    assert until(url, f"waiting for Kafka at 127.0.0.1:{at}", process) == 503
    assert answer(f"{url}/livez")[0] == 200
    assert b"visualsearch_broker_up 0.0" in answer(f"{url}/metrics")[1]
    assert b"waiting for Kafka" in answer(f"{url}/v1/products")[1]
    kept = HTTPConnection("127.0.0.1", port, timeout=10)  # one that a load balancer keeps
    assert status_on(kept) == 200
    try:
        info = start_broker(tmp_path / "broker", at)
        assert until(url, "waiting for topics that are missing: product-events,", process) == 503
        assert "`visualsearch topics create`" in answer(f"{url}/readyz")[1].decode()
        create_topics(info.bootstrap, topic_specs(TopicNames()))
        assert until(url, "ok", process) == 200
        assert status_on(kept) == 200
        kept.close()
        said = log_of(tmp_path).count("waiting for")  # while topics are made, fewer are missing
        assert 2 <= said <= 6, log_of(tmp_path)
        assert stop(process)[0] == 0
    finally:
        stop_broker(tmp_path / "broker")


def test_a_signal_ends_a_worker_that_waits(spawn: Spawn, tmp_path: Path) -> None:
    """At once, but for the question under way."""
    port = free_port()
    process = spawn(f"127.0.0.1:{free_port()}", "", "--port", str(port))
    until(f"http://127.0.0.1:{port}", "waiting for Kafka", process)
    status, took_s = stop(process)
    assert (status, took_s < DEADLINE_S) == (0, True), log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)


def answer(url: str) -> tuple[int, bytes]:
    """Return status and body; 0 where nobody listens."""
    try:
        with urlopen(url, timeout=10) as found:  # noqa: S310 - the worker's own
            return found.status, found.read()
    except HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def status_on(connection: HTTPConnection) -> int:
    """Return the status of /livez on a connection that is kept."""
    connection.request("GET", "/livez")
    with connection.getresponse() as response:
        response.read()
        return response.status


def until(url: str, text: str, process: "subprocess.Popen[str]") -> int:
    """Return the status of /readyz when it says a text."""
    give_up_at = time.monotonic() + 240
    while True:
        status, body = answer(f"{url}/readyz")
        if body.decode().startswith(text):
            return status
        assert process.poll() is None
        assert time.monotonic() < give_up_at, body
        time.sleep(0.1)
