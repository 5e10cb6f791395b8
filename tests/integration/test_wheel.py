"""The built wheel holds all that a clone holds, and works where there is no clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.tools.broker import BrokerInfo
from tests.support.peer import Peer
from visualsearch import __version__
from visualsearch.extras import EXTRA_OF

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "visualsearch")
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
BASE_BYTES = 110_000_000
HELP_S = 5.0  # on a busy machine; the figure that counts is printed


def outcome(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without this environment's paths."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=250
    )


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command likewise; return its output, or fail with it."""
    done = outcome(command, folder)
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


def install(wheel: Path, name: str, *options: str | Path) -> Installed:
    """Install the wheel in a fresh environment in which there is nothing else."""
    root = wheel.parents[1] / name
    root.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], root)
    python = root / "venv" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "-q", *options, wheel], root)
    site = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], root).strip()
    )
    folder = root / "empty"
    folder.mkdir()
    return Installed(python.parent, site, folder)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Installed:
    """Install the wheel alone; its dependencies are borrowed, this clone's editable link is not.

    A path in a .pth file is searched, but the .pth files in it (the editable link) are not read.
    """
    found = install(wheel, "borrowing", "--no-deps", "--no-index")
    (found.site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


@pytest.fixture(scope="module")
def base(wheel: Path) -> Installed:
    """Install the wheel as `pip install visualsearch` does, without any extra."""
    return install(wheel, "base", "-c", ROOT / "constraints.txt")


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


def test_the_schemas_fit_the_installed_types(installed: Installed) -> None:
    """The documents are no part of the wheel: they describe the types that are."""
    program = f"""
from pathlib import Path
from streams.tools.schemas.generate import drifted
print(drifted(Path({str(ROOT / "schemas")!r})))
"""
    assert installed.python(program).strip() == "[]"


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


def test_the_base_install_is_small(base: Installed) -> None:
    """Contracts, client and command line, and no library of an extra."""
    size = sum(file.stat().st_size for file in base.site.rglob("*") if file.is_file())
    print(f"base install: {size / 1e6:.0f} MB")
    assert size < BASE_BYTES
    program = f"""
from importlib.util import find_spec
print([name for name in {sorted(EXTRA_OF)!r} if find_spec(name) is not None])
"""
    assert base.python(program).strip() == "[]"


def test_the_base_install_has_the_client_and_a_quick_command(base: Installed) -> None:
    """An app searches with it; a person reads what there is at once."""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        said = run([base.bin / "visualsearch", "--help"], base.folder)
        took.append(time.perf_counter() - start)
        assert "Usage: visualsearch" in said
    print(f"visualsearch --help: {min(took):.3f} s, the best of {len(took)}")
    assert min(took) < HELP_S
    assert run([base.bin / "visualsearch", "--version"], base.folder).split()[-1] == __version__
    program = "from visualsearch.client import SearchClient; print(SearchClient.__name__)"
    assert base.python(program).strip() == "SearchClient"


@pytest.mark.parametrize("command", ["worker", "demo"])
def test_the_base_install_names_what_a_worker_needs(base: Installed, command: str) -> None:
    """One line that can be typed, and a status that tells of failure."""
    done = outcome([base.bin / "visualsearch", command], base.folder)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "pip install 'visualsearch[worker,cpu,lite]'" in line


def test_the_client_works_beside_a_package_named_schemas(
    base: Installed, kafka: BrokerInfo, peer: Peer, tmp_path: Path
) -> None:
    """An app keeps a package of that name, and gets its answer without `streams`."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("OWNER = 'the app'\n")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import schemas
from visualsearch.client import SearchClient
from visualsearch.contracts.search import QuerySpec, SearchRequest

options = {{"bootstrap.servers": {kafka.bootstrap!r}}}
topics = {peer.topics.search_requests!r}, {peer.topics.search_results!r}
client = SearchClient(options, *topics)
request = SearchRequest(request_id="r", query=QuerySpec(text="x"), deadline_ms=60_000)
print(client.search(request).status, schemas.OWNER, "streams" in sys.modules)
client.close()
"""
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(base.python, program)
        if (request := peer.request(within_s=60.0)) is not None:
            peer.answer(request)
        assert said.result(120).split() == ["ok", "the", "app", "False"]
