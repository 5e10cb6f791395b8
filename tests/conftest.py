"""What every tier shares: a marker per folder, and real photos that are found or missed aloud."""

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PHOTOS = "VISUALSEARCH_TEST_DATA"


class MissingPhotos:
    """Which tests were left out because the real photos are not on this machine."""

    def __init__(self) -> None:
        self.tests: list[str] = []

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out, where nobody overlooks it."""
        if self.tests:
            terminalreporter.section("LEFT OUT: no real photos", sep="!", red=True)
            terminalreporter.line(f"set {PHOTOS} to their folder to run:")
            for test in sorted(set(self.tests)):
                terminalreporter.line(f"  {test}")


MISSING_PHOTOS = pytest.StashKey[MissingPhotos]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the collector of tests that miss their photos."""
    missing = MissingPhotos()
    config.stash[MISSING_PHOTOS] = missing
    config.pluginmanager.register(missing, "missing-photos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, which is the name of its folder."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


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
    request.config.stash[MISSING_PHOTOS].tests.append(request.node.nodeid)
    pytest.skip("no real photos on this machine")
