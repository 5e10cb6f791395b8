"""The checker's independence, held by reading its source and that of all it imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]
FORBIDDEN = (
    "streams.ingest",
    "streams.ingest.order",
    "streams.indexer.records",
    "streams.indexer.reader",
    "streams.ingest.dead_letters",
    "streams.images",
    "streams.kafka.offsets",
    "streams.kafka.scan",
    "visualsearch.client.offsets",
    "visualsearch.client.partitioner",
    "visualsearch.client.tail",
    "visualsearch.engine",
    "visualsearch.index",
)


def imports_of(file: Path) -> set[str]:
    """Return the modules that a file imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def file_of(module: str) -> Path | None:
    """Return the file of a module of this repository; None for any other."""
    path = ROOT.joinpath(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


def closure(files: list[Path]) -> set[str]:
    """Return all modules of this repository that these files import, directly or not."""
    seen: set[str] = set()
    waiting = list(files)
    while waiting:
        for module in imports_of(waiting.pop()):
            # The package's own `__getattr__` imports by name, and its types for mypy alone.
            if module in seen or module == "visualsearch" or (file := file_of(module)) is None:
                continue
            seen.add(module)
            waiting.append(file)
    return seen


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    """A mistake in the pipelines or the index must not be repeated by the one who looks for it."""
    files = sorted((ROOT / "streams" / "tools" / "fsck").glob("*.py"))
    assert len(files) > 5, "the search for files is broken"
    modules = closure(files)
    assert "streams.config.settings" in modules, "the search for imports is broken"
    assert "visualsearch.contracts.codec" in modules
    assert [m for m in sorted(modules) if m.startswith(FORBIDDEN)] == []


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_the_checker_must_not_import_is_there(name: str) -> None:
    """A module that moved would be free to be imported."""
    assert file_of(name) is not None


def test_the_rule_would_be_noticed_when_broken() -> None:
    """The pipelines import their order: the search finds it."""
    found = closure([ROOT / "streams" / "ingest" / "pipeline.py"])
    assert {"streams.ingest.order", "streams.ingest.outcome", "streams.images.reader"} <= found
