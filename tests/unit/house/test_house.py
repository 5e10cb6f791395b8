"""Rules of the house that no linter knows: short files, clean text, cheap imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST = 400

# One letter in brackets, or this file would break its own rule.
FORBIDDEN = {
    "a path of the machine that it was written on": re.compile(r"(^|[^\w.])/([w]ork|tmp/[w])/"),
    "the host of a package registry": re.compile(
        r"[p]ythonhosted\.org|[p]ypi\.org/simple|[r]epo1?\.maven\.|[i]ndex-url|[a]rtifactory"
    ),
}


def project_files() -> list[Path]:
    """Return the files that git tracks, and new ones that it would."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [ROOT / line for line in listed.splitlines()]
    return [file for file in files if file.is_file()]


def is_text(file: Path) -> bool:
    """Tell text from weights and golden bytes."""
    return b"\0" not in file.read_bytes()[:8192]


def test_no_python_file_is_too_long() -> None:
    """A file is about one thing and fits in a reader's head."""
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in project_files()
        if file.suffix == ".py"
    }
    assert len(lengths) > 20, "the search for files is broken"
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_what_only_one_machine_knows(what: str) -> None:
    """A clone works anywhere, with whatever registry its machine is configured for."""
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in project_files()
        if is_text(file)
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_pins_are_exact_and_name_no_address() -> None:
    """`name==version`, sorted, each once; everything that is installed is pinned."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))


HEAVY = ("torch", "torchvision", "open_clip", "faiss", "hnswlib", "faust", "confluent_kafka")


@pytest.mark.parametrize(
    ("module", "light"),
    [
        ("visualsearch.contracts", (*HEAVY, "numpy", "msgspec")),
        ("visualsearch.contracts.codec", (*HEAVY, "numpy")),
        ("visualsearch", HEAVY),
        ("streams", (*HEAVY, "numpy")),
        ("streams.cli", (*HEAVY, "aiohttp", "aiokafka")),
    ],
)
def test_an_import_loads_nothing_heavy(module: str, light: tuple[str, ...]) -> None:
    """`visualsearch --help` answers at once, and a notebook pays for what it uses."""
    program = f"import sys, {module}; print([name for name in {light!r} if name in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == "[]"
