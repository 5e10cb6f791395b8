"""The command line as its users meet it: quick, readable, and JSON alone on stdout."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import COMMANDS

HEAVY = (
    "torch",
    "numpy",
    "confluent_kafka",
    "faust",
    "aiohttp",
    "PIL",
    "pydantic",
    "rich",
    "msgspec",
)
SUBCOMMANDS = [
    *([name] for name in COMMANDS),
    ["broker", "start"],
    ["broker", "stop"],
    ["broker", "status"],
    ["topics", "create"],
    ["topics", "describe"],
    ["dlq", "list"],
    ["dlq", "show"],
    ["dlq", "replay"],
    ["bench", "index"],
    ["snapshot", "create"],
    ["snapshot", "list"],
    ["snapshot", "verify"],
    ["snapshot", "restore"],
]
# A port on which nothing listens: what needs Kafka must fail by itself.
NOWHERE = {"VISUALSEARCH_BOOTSTRAP": "127.0.0.1:1"}


def visualsearch(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=cwd,
        env=os.environ | NOWHERE | {"PYTHONPATH": str(Path(__file__).parents[4]), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    """`visualsearch --help` is instant because it loads click and nothing else."""
    code = (
        "import sys\nfrom streams.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
    )  # fmt: skip
    assert done.stdout.endswith("LOADED []\n"), done.stdout
    for name, text in COMMANDS.items():
        assert re.search(rf"^  {name}\s+{re.escape(text[:30])}", done.stdout, re.MULTILINE)


def test_help_of_every_command_reads_well() -> None:
    """Each says what it does in a sentence, and what every option of it is for."""
    code = (
        "import sys\nfrom streams.cli import main\n"
        f"for command in {SUBCOMMANDS!r}:\n"
        "    print('~~~~', *command, flush=True)\n"
        "    try:\n        main([*command, '--help'])\n    except SystemExit:\n        pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4]), "COLUMNS": "100"},
    )  # fmt: skip
    pages = done.stdout.split("~~~~ ")[1:]
    assert len(pages) == len(SUBCOMMANDS)
    for page in pages:
        name = page.partition("\n")[0]
        usage, text = (part.strip() for part in page.split("\n\n")[:2])
        assert "Usage:" in usage, name
        assert re.match(r"[A-Z].*\.", text, re.DOTALL), f"{name}: no sentence says what it does"
        options = page.partition("Options:\n")[2]
        bare = re.findall(
            r"^  (--?[a-z][^\n]*?)(?:  +(\S.*))?$(?!\n {10,}\S)", options, re.MULTILINE
        )
        assert [option for option, said in bare if not said] == [], name


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "--json"],
        ["snapshot", "list", "--json"],
        ["broker", "status", "--json", "--data-dir", "nothing"],
    ],
)
def test_json_stands_alone_on_stdout(tmp_path: Path, arguments: list[str]) -> None:
    """A program may read it, whatever is said on stderr."""
    assert isinstance(json.loads(visualsearch(*arguments, cwd=tmp_path).stdout), dict)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search"], "--image, --text or --like"),
        (["search", "--text", "a", "--attribute", "color"], "NAME=VALUE"),
        (["search", "--text", "a", "--price-min", "2", "--price-max", "1"], "--price-min"),
        (["search", "--text", "a", "--price-max", "nan"], "not a finite number"),
        (["search", "--text", "a", "--price-min", "inf"], "not a finite number"),
        (["search", "--text", "a", "--price-max", "1e999"], "not a finite number"),
        (["search", "--text", "a", "--diversity", "nan"], "not a finite number"),
        (["search", "--image", "gone.jpg"], "[image_unreadable]"),
        (["search", "--image", "text.jpg"], "[image_not_an_image]"),
        (["search", "--request", "text.jpg"], "[not_json]"),
        (["search", "--request", "unknown.json"], "[field_unknown]"),
        (["search", "--text", ""], "[field_invalid]"),
        (["load", "gone"], "does not exist"),
        (["demo", "--catalog", "text.jpg"], "[catalog_unreadable]"),
        (["worker", "--roles", "cook"], "ingest, search"),
        (["dlq", "replay"], "select by position"),
        (["dlq", "replay", "--all", "--code", "x"], "select by position"),
        (["dlq", "replay", "p"], "PARTITION@OFFSET"),
        (["dlq", "list", "--since", "soon"], "--since"),
        (["fsck", "--http", "http://127.0.0.1:1"], "[worker_unreachable]"),
        (["snapshot", "create", "--http", "http://127.0.0.1:1"], "[worker_unreachable]"),
        (["snapshot", "verify", "gone"], "does not exist"),
        (["snapshot", "verify", "."], "[file_missing]"),
        (["snapshot", "restore"], "VISUALSEARCH_SNAPSHOT_STORE"),
    ],
)
def test_what_cannot_work_is_one_line_and_a_status(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    """No traceback, nothing on stdout, and the reason with its stable code."""
    (tmp_path / "text.jpg").write_text("I am a text file.")
    (tmp_path / "unknown.json").write_text('{"query": {"text": "a"}, "colour": "red"}')
    done = visualsearch(*arguments, cwd=tmp_path)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr
