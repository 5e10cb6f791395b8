"""What a process costs: its CPU time, and the highest memory that it had."""

import os
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """Samples the memory of a process, and its CPU time when asked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._highest_mb = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stopping.wait(0.01):
            self._highest_mb = max(self._highest_mb, self.rss_mb())

    def rss_mb(self) -> float:
        """Return the resident memory now."""
        try:
            pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mb(self) -> float:
        """Return the highest memory since the last call."""
        peak, self._highest_mb = self._highest_mb, 0.0
        return peak

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        self._thread.join()
