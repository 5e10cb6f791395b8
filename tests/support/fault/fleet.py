"""Worker processes: started, watched, and killed by their pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from visualsearch.client.closing import Closing

ROOT = Path(__file__).parents[3]
STOP_S = 25.0  # what a worker may take to end after SIGTERM
FALLEN_LINES = 40


class StuckError(AssertionError):
    """Something that had to happen did not."""


def until(holds: Callable[[], bool], what: str, patience_s: float = 240.0) -> None:
    """Return once `holds()`. Raises StuckError."""
    give_up_at = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > give_up_at:
            raise StuckError(f"after {patience_s:.0f} s still not: {what}")
        time.sleep(0.05)


class Life:
    """One worker process, from its start to its end."""

    def __init__(self, number: int, folder: Path, environ: dict[str, str]) -> None:
        self.number = number
        self.log = folder / f"worker-{number}.log"
        self._told = folder / f"worker-{number}.told"
        self.condemned = False  # its end is our doing
        self.frozen = False
        with self.log.open("wb") as log, self._told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fault.process", "worker"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=told,
                stderr=log,
                start_new_session=True,
            )

    def __str__(self) -> str:
        """Return its name in reports."""
        return f"worker {self.number}"

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def told(self, word: str) -> str | None:
        """Return what it said after a word, None if it did not say that word."""
        lines = self._told.read_text().splitlines()
        return next((s.partition(" ")[2] for s in lines if s.split(" ")[0] == word), None)

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.alive and self.told("ready") is not None

    @property
    def url(self) -> str:
        """Where its HTTP side is."""
        return f"http://127.0.0.1:{self.told('ready')}"

    @property
    def hit(self) -> tuple[str, str] | None:
        """The point at which its trap closed, and by which signal."""
        sign, _, point = (self.told("hit") or "").partition(" ")
        return (point, sign) if point else None

    @property
    def gaps(self) -> list[str]:
        """Offsets that its lanes passed over, and may have committed, without having seen them."""
        return [line for line in self._told.read_text().splitlines() if line.startswith("gap ")]

    def order(self, text: str) -> None:
        """Tell it something; one that has just died does not hear it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def trap(self, point: str, passes: int, sign: signal.Signals) -> None:
        """Have it send itself a signal at a point."""
        self.condemned = True
        self.order(f"trap {passes} {sign.name} {point}")

    def signal(self, sign: signal.Signals) -> bool:
        """Send a signal; return whether it was still there to receive it."""
        if not self.alive:
            return False
        if sign in (signal.SIGKILL, signal.SIGTERM):
            self.condemned = True
        self.frozen = sign == signal.SIGSTOP
        os.kill(self.process.pid, sign)
        return True

    def tail(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-FALLEN_LINES:])


class Fleet(Closing):
    """All workers that there ever were."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.environ = os.environ | environ
        self.lives: list[Life] = []
        self.slowest_stop_s = 0.0

    def launch(self) -> Life:
        """Start a worker."""
        life = Life(len(self.lives), self._folder, self.environ)
        self.lives.append(life)
        return life

    @property
    def alive(self) -> list[Life]:
        """Return those that are there."""
        return [life for life in self.lives if life.alive]

    @property
    def ready(self) -> list[Life]:
        """Return those that serve and are not to die."""
        return [life for life in self.alive if life.ready and not life.condemned]

    @property
    def fallen(self) -> list[Life]:
        """Return those that ended though nobody killed them."""
        return [life for life in self.lives if not life.alive and not life.condemned]

    def await_end(self, life: Life, patience_s: float) -> bool:
        """Return whether a worker ended in time."""
        try:
            life.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def await_stop(self, life: Life) -> None:
        """Wait for a worker that got SIGTERM. Raises StuckError past its deadline."""
        started = time.monotonic()
        if not self.await_end(life, STOP_S + 2.0):
            raise StuckError(f"{life} did not end within {STOP_S} s of SIGTERM\n{life.tail()}")
        self.slowest_stop_s = max(self.slowest_stop_s, time.monotonic() - started)

    def close(self) -> None:
        """Kill what is left."""
        for life in self.lives:
            if life.process.stdin is not None:
                life.process.stdin.close()
            if life.alive:
                life.process.kill()
            life.process.wait()
