"""What the README shows, run as it stands."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streams.broker import BrokerInfo, stop_broker
from streams.broker.lifecycle import DEFAULT_DATA_DIR
from streams.broker.ports import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A minute and a half on two busy cores; a command that waits for good is shown with the output.
PATIENCE_S = 400


def _script(text: str) -> str:
    """Return one shell script of all blocks, in order; `make` lines are only looked up."""
    lines = ["set -euo pipefail"]
    for language, block in BLOCK.findall(text):
        if language == "python":
            lines += ["python - <<'README_PYTHON'", block.rstrip(), "README_PYTHON"]
        else:
            lines += [
                f"make -C {ROOT} -n {line[5:]} >/dev/null" if line.startswith("make ") else line
                for line in block.rstrip().splitlines()
            ]
    return "\n".join(lines)


def _run(script: str, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run a script; return its status (of a signal, if it did not end in time) and what it said.

    Whatever it started ends with it. Its commands are among its errors, the last one at the end.
    """
    with subprocess.Popen(
        ["bash", "-xc", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        out_of_time = threading.Timer(PATIENCE_S, os.killpg, (process.pid, signal.SIGKILL))
        out_of_time.start()
        try:
            stdout, stderr = process.communicate()
        finally:
            out_of_time.cancel()
            stop_broker(folder / DEFAULT_DATA_DIR)
    return process.returncode, stdout, stderr


@pytest.mark.timeout(PATIENCE_S + 40)
def test_every_command_of_the_readme_runs(apache_kafka: BrokerInfo, tmp_path: Path) -> None:
    """From `broker start` to `broker stop`, in an empty folder, on ports that are free here."""
    # Not of the range that the system lends to outgoing connections: they would be taken by then.
    kafka_port, http_port = free_port(), free_port()
    script = _script((ROOT / "README.md").read_text())
    script = script.replace("9092", str(kafka_port)).replace("8080", str(http_port))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "VISUALSEARCH_BOOTSTRAP": f"127.0.0.1:{kafka_port}",
    }
    status, stdout, stderr = _run(script, tmp_path, environment)
    assert status == 0, stdout + stderr
    assert "Blue Mug" in stdout, stdout
    assert "ok [('Blue Mug', 8.0)" in stdout, stdout
