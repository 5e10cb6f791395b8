"""What tests have to say at the end of the run, from whichever process they ran in."""

from collections import defaultdict

import pytest

SENT = "visualsearch_notes"


class Notes:
    """Lines by subject, each told once; those of pytest-xdist's workers reach the controller."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, subject: str, line: str) -> None:
        """Note a line."""
        self._lines[subject].add(line)

    def about(self, subject: str) -> list[str]:
        """Return the lines of a subject, sorted."""
        return sorted(self._lines[subject])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the notes of a worker to its controller."""
        if hasattr(session.config, "workeroutput"):
            sent = {subject: sorted(lines) for subject, lines in self._lines.items()}
            session.config.workeroutput[SENT] = sent

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over the notes of a worker that ended; one that crashed has none."""
        for subject, lines in getattr(node, "workeroutput", {}).get(SENT, {}).items():
            self._lines[subject].update(lines)


NOTES = pytest.StashKey[Notes]()
