"""What every tier shares: a marker per folder, and real photos that are found or missed aloud."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.notes import NOTES, Notes

TESTS = Path(__file__).parent
PHOTOS = "VISUALSEARCH_TEST_DATA"

# How long an example takes depends on what else the machine does; pytest-timeout stops what hangs.
settings.register_profile(
    "no clock", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no clock")


def pytest_configure(config: pytest.Config) -> None:
    """Register the collector of what tests have to say at the end."""
    config.stash[NOTES] = notes = Notes()
    config.pluginmanager.register(notes, "notes")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which tests were left out for want of photos, where nobody overlooks it."""
    if tests := config.stash[NOTES].about(PHOTOS):
        terminalreporter.section("LEFT OUT: no real photos", sep="!", red=True)
        terminalreporter.line(f"set {PHOTOS} to their folder to run:")
        for test in tests:
            terminalreporter.line(f"  {test}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its tier, which is the name of its folder.

    Side by side (`make test`), the tier that waits most begins, so that no process ends alone.
    """
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture
def data_dir(request: pytest.FixtureRequest) -> Path:
    """Return the folder of real photos (luma, grocery, clothing, street), or skip aloud.

    It is `VISUALSEARCH_TEST_DATA`, else `shared/data` beside the repository. A folder that is
    named but absent is an error, not a reason to skip.
    """
    named = os.environ.get(PHOTOS)
    if named is not None:
        assert Path(named).is_dir(), f"{PHOTOS}={named} is not a folder"
        return Path(named)
    beside = TESTS.parent.parent / "shared" / "data"
    if beside.is_dir():
        return beside
    request.config.stash[NOTES].add(PHOTOS, request.node.nodeid)
    pytest.skip("no real photos on this machine")
