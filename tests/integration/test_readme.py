"""What the README shows, run as it stands."""

import os
import re
import sys
from pathlib import Path

import pytest

from streams.tools.broker import BrokerInfo, stop_broker
from streams.tools.broker.lifecycle import DEFAULT_DATA_DIR
from streams.tools.broker.ports import free_port
from tests.support.commands import GRACE_S, ROOT, run_to_end

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 500


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


@pytest.mark.timeout(PATIENCE_S + 2 * GRACE_S)
def test_every_command_of_the_readme_runs(kafka: BrokerInfo, tmp_path: Path) -> None:
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
    cleanup = "trap 'kill -TERM $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    try:
        # Each command is among the errors (-x): the last one is where it stopped.
        done = run_to_end(["bash", "-xc", cleanup + script], tmp_path, environment, PATIENCE_S)
    finally:
        stop_broker(tmp_path / DEFAULT_DATA_DIR)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Blue Mug" in done.stdout, done.stdout
    assert "ok [('Blue Mug', 8.0)" in done.stdout, done.stdout
