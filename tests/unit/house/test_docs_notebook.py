"""What docs/notebook.md shows, run as it stands, where no Kafka can be reached."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NO_KAFKA = "import sys; sys.modules['confluent_kafka'] = sys.modules['aiohttp'] = None\n"


def test_the_notebook_runs(tmp_path: Path) -> None:
    """In a process of its own and an empty folder; each step prints what it found."""
    blocks = BLOCK.findall((ROOT / "docs" / "notebook.md").read_text(encoding="utf-8"))
    assert len(blocks) == 4
    script = tmp_path / "notebook.py"
    script.write_text(NO_KAFKA + "\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("60 products in ["), done.stdout
    assert sum("variants)" in line for line in lines) == 5, done.stdout
    assert any("Plan(strategy='exact'" in line for line in lines), done.stdout
    [hint] = [line for line in lines if "Hint(field='category[0]', value='Lamp'" in line]
    assert "Lamps" in hint
    assert len(lines) > 8, done.stdout
