"""`visualsearch schemas`: lists, prints, writes and checks the documents."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from streams.cli import main
from streams.tools.schemas.generate import NAMES, document_text, file_name

ROOT = Path(__file__).parents[4]


def schemas(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["schemas", *arguments], catch_exceptions=False)


def test_the_list_names_every_document() -> None:
    """One a line for people; as JSON with the file's name for programs."""
    lines = schemas().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES)
    rows = json.loads(schemas("--json").stdout)["schemas"]
    assert [row["name"] for row in rows] == list(NAMES)
    assert {row["file"] for row in rows} == {
        path.name for path in (ROOT / "schemas").iterdir() if path.is_file()
    }
    assert all(row["about"].endswith(".") for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_printed_as_it_is_in_its_file(name: str) -> None:
    """The output can be redirected to a file."""
    assert schemas(name).stdout == (ROOT / "schemas" / file_name(name)).read_text()


def test_asyncapi_is_printed_as_json_if_asked_for() -> None:
    """The same document."""
    document = json.loads(schemas("asyncapi", "--json").stdout)
    assert document == yaml.safe_load(document_text("asyncapi"))


def test_a_folder_is_written_and_checked(tmp_path: Path) -> None:
    """What is stale is named on stderr, with the cure and status 1."""
    folder = tmp_path / "new"
    assert schemas("--folder", str(folder)).stdout.count("wrote ") == len(NAMES)
    assert json.loads(schemas("--folder", str(folder), "--json").stdout) == {"written": []}
    assert (schemas("--check", str(folder)).exit_code, schemas().exit_code) == (0, 0)
    stale = folder / "search-result.schema.json"
    stale.write_text("{}")
    done = schemas("--check", str(folder))
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{stale} does not fit the types" in done.stderr
    assert f"run: visualsearch schemas --folder {folder}" in done.stderr
    done = schemas("--check", str(folder), "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (1, {"stale": [str(stale)]})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "give one of product-created,"),
        (["search-result", "--check", "."], "give one of NAME, --folder and --check"),
        (["--check", "gone"], "does not exist"),
        (["--folder", "file/below"], "give a folder that can be written to"),
    ],
)
def test_what_cannot_work_is_told_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """With what would work, and a status that is not 0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = schemas(*arguments)
    assert done.exit_code in {1, 2}
    assert done.stdout == ""
    assert said in done.stderr


def test_it_needs_nothing_but_the_base_install() -> None:
    """No model, no Kafka client, no YAML library."""
    heavy = ("torch", "numpy", "confluent_kafka", "pydantic", "rich", "aiohttp", "faust")
    program = (
        f"import sys\nfor name in {heavy!r}: sys.modules[name] = None\n"
        "from streams.cli import main\n"
        "main(['schemas', 'asyncapi'])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == document_text("asyncapi")
