"""The state in the data folder, and that only our own process is ever signalled."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streams.tools.broker import BrokerInfo, broker_status, stop_broker
from streams.tools.broker.info import Archive, BrokerState, read_state, write_state
from streams.tools.broker.process import log_tail, process_started, spawn, terminate

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(60)"
)


def state_of(pid: int, started: str, data_dir: Path) -> BrokerState:
    """Return the state of a broker with that process."""
    info = BrokerInfo("apache-kafka", "4.3.1", "127.0.0.1:21000", pid, str(data_dir), "maven")
    return BrokerState(info, 21000, started)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[int]:
    """Give the pid of a process of ours that sleeps."""
    pid = spawn(["/bin/sleep", "60"], log=tmp_path / "log", env=os.environ)
    yield pid
    terminate(pid, process_started(pid) or "")


def test_state_survives_the_file(tmp_path: Path) -> None:
    """What is written is what is read, archive and container included."""
    info = BrokerInfo("apache-kafka", "4.3.1", "127.0.0.1:21000", 1, str(tmp_path), "docker")
    state = BrokerState(info, 21000, "boot:1", "name", Archive("/a", "/b"))
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"info": {}}', '{"info": {"kind": "x"}}'])
def test_unreadable_state_is_no_state(tmp_path: Path, text: str) -> None:
    """A damaged file neither raises nor names a process."""
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path) is None
    assert broker_status(tmp_path) is None
    assert stop_broker(tmp_path) is False


def test_recycled_pid_is_never_signalled(tmp_path: Path, sleeper: int) -> None:
    """The pid lives, but it is another process than the one that was started."""
    write_state(tmp_path, state_of(sleeper, "another-boot:42", tmp_path))
    assert broker_status(tmp_path) is None
    assert stop_broker(tmp_path) is False
    assert process_started(sleeper) is not None


def test_running_process_is_found_and_stopped(tmp_path: Path, sleeper: int) -> None:
    """The state file stays, for its port; a second stop finds nothing to do."""
    write_state(tmp_path, state_of(sleeper, process_started(sleeper) or "", tmp_path))
    found = broker_status(tmp_path)
    assert found is not None
    assert found.pid == sleeper
    assert stop_broker(tmp_path) is True
    assert process_started(sleeper) is None
    assert stop_broker(tmp_path) is False
    assert json.loads((tmp_path / "state.json").read_text())["port"] == 21000


def test_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """The deadline is ours, not the process's."""
    log = tmp_path / "log"
    pid = spawn([sys.executable, "-c", STUBBORN], log=log, env=os.environ)
    while "ready" not in log_tail(log):
        time.sleep(0.01)
    assert terminate(pid, process_started(pid) or "", deadline_s=0.2) == "killed"
    assert process_started(pid) is None


def test_archive_is_kept_after_an_orderly_end_only(tmp_path: Path) -> None:
    """The dump of a JVM that had to be killed may be half-written."""
    scratch, kept = tmp_path / "scratch.jsa", tmp_path / "kept.jsa"
    for code, expected in ((STUBBORN, False), (STUBBORN.replace("SIG_IGN", "SIG_DFL"), True)):
        scratch.touch()
        log = tmp_path / f"log-{expected}"
        pid = spawn([sys.executable, "-c", code], log=log, env=os.environ)
        while "ready" not in log_tail(log):
            time.sleep(0.01)
        state = state_of(pid, process_started(pid) or "", tmp_path)
        write_state(tmp_path, replace(state, archive=Archive(str(scratch), str(kept))))
        assert stop_broker(tmp_path, deadline_s=2.0 if expected else 0.1) is True
        assert not scratch.exists()
        assert kept.exists() is expected


def test_zombie_counts_as_gone() -> None:
    """A broker that died while its starter lives on is not running."""
    child = subprocess.Popen(["/bin/true"])
    try:
        while process_started(child.pid) is not None:
            time.sleep(0.01)
    finally:
        child.wait()
    assert process_started(child.pid) is None


def test_log_tail_is_the_end(tmp_path: Path) -> None:
    """The last lines say why a broker did not start."""
    log = tmp_path / "log"
    assert log_tail(log) == "(no log)"
    log.write_text("\n".join(map(str, range(100))))
    assert log_tail(log, 3) == "97\n98\n99"
