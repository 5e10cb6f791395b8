"""What the README shows, run as it stands."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streams.broker import BrokerInfo

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


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


@pytest.mark.timeout(240)
def test_every_command_of_the_readme_runs(apache_kafka: BrokerInfo, tmp_path: Path) -> None:
    """From `broker start` to `broker stop`, in an empty folder, on ports that are free here."""
    kafka_port, http_port = _free_port(), _free_port()
    script = _script((ROOT / "README.md").read_text())
    script = script.replace("9092", str(kafka_port)).replace("8080", str(http_port))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VISUALSEARCH_BOOTSTRAP": f"127.0.0.1:{kafka_port}",
    }
    cleanup = "trap 'kill -TERM $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    done = subprocess.run(
        ["bash", "-c", cleanup + script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Blue Mug" in done.stdout, done.stdout
    assert "ok [('Blue Mug', 8.0)" in done.stdout, done.stdout
