"""The built wheel holds all that a clone holds, and works where there is no clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "visualsearch")
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command without this environment's paths; return its output, or fail with it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a wheel is built of: setuptools leaves stale files in the folder it builds in."""
    folder = tmp_path_factory.mktemp("wheel") / "source"
    folder.mkdir()
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in PROJECT_FILES:
        shutil.copy(ROOT / name, folder / name)
    (folder / "helm").mkdir()  # setuptools must not take the clone's other folders for packages
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """Build the wheel as a release does."""
    output = source.parent / "dist"
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        output,
        source,
    ]
    run(build, source.parent)
    (found,) = output.glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """A fresh environment that has the wheel, and an empty folder to work in."""

    bin: Path
    site: Path
    folder: Path

    def python(self, program: str) -> str:
        """Run a program in the empty folder."""
        return run([self.bin / "python", "-W", "error", "-c", program], self.folder)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Installed:
    """Install the wheel alone; its dependencies are borrowed, this clone's editable link is not.

    A path in a .pth file is searched, but the .pth files in it (the editable link) are not read.
    """
    root = wheel.parents[1]
    run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], root)
    python = root / "venv" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], root)
    site = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], root).strip()
    )
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = root / "empty"
    folder.mkdir()
    return Installed(python.parent, site, folder)


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(source: Path, wheel: Path) -> None:
    """Weights, pages, type markers: package data that nobody named is found here."""
    expected = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    held = set(zipfile.ZipFile(wheel).namelist())
    own = {name for name in held if ".dist-info/" not in name}
    assert own == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= own
    described = {name.partition(".dist-info/")[2] for name in held - own}
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"} <= described


def test_the_packages_are_imported_from_the_wheel(installed: Installed) -> None:
    """Not from this clone, whose editable install lies in the borrowed packages."""
    program = """
import importlib.metadata, streams, streams.cli, visualsearch
print(*(module.__file__ for module in (streams, streams.cli, visualsearch)), sep="\\n")
print(importlib.metadata.distribution("visualsearch").locate_file(""))
"""
    for line in installed.python(program).splitlines():
        assert Path(line).is_relative_to(installed.site), line


def test_the_command_works_from_an_empty_folder(installed: Installed) -> None:
    """It finds nothing of the clone there."""
    said = run([installed.bin / "visualsearch", "--help"], installed.folder)
    assert "Usage: visualsearch" in said
    assert {"demo", "worker", "search", "load"} <= set(said.split())
    assert list(installed.folder.iterdir()) == []


def test_the_installed_command_prints_the_documents_of_the_clone(installed: Installed) -> None:
    """They are generated from the installed types, so a program can validate without a clone."""
    for file in (ROOT / "schemas").iterdir():
        name = file.name.partition(".")[0]
        printed = run([installed.bin / "visualsearch", "schemas", name], installed.folder)
        assert printed == file.read_text()


def test_the_embedded_encoder_works_from_the_wheel(installed: Installed) -> None:
    """Its weights travel in the wheel; pictures and words become unit vectors of one space."""
    program = """
import numpy as np, visualsearch
from PIL import Image
encoder = visualsearch.load_encoder("lite")
vectors = np.vstack([
    encoder.encode_images([Image.new("RGB", (64, 64), "red")]),
    encoder.encode_texts(["a red dress"]),
])
assert vectors.shape == (2, encoder.dim), vectors.shape
assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
print("encoded")
"""
    assert installed.python(program).strip() == "encoded"
