"""Detached processes: started, identified by pid and start time, and stopped."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

LOG_TAIL_LINES = 25
Ending = Literal["gone", "ended", "killed", "alive"]


def spawn(command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> int:
    """Start a command in a session of its own, output appended to `log`, and return its pid.

    posix_spawn rather than Popen: the broker is meant to outlive this process, and an abandoned
    Popen object warns about exactly that.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], list(command), dict(env), file_actions=actions, setsid=True)


def process_started(pid: int) -> str | None:
    """Return when a process started, as an opaque text; None if there is no such live process.

    Together with the pid it identifies a process: a recycled pid has another start. A zombie
    counts as gone; one of our own children is reaped on the way.
    """
    if pid <= 0:
        return None
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    proc = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        # The command in parentheses may hold blanks, so fields are counted behind it.
        fields = proc.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    """Ask ps where there is no /proc (macOS); its start time has a resolution of a second."""
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    status, _, started = done.stdout.strip().partition(" ")
    return started.strip() if started and not status.startswith("Z") else None


def terminate(pid: int, started: str, *, deadline_s: float = 10.0) -> Ending:
    """End exactly that process: SIGTERM, SIGKILL past the deadline; say how it went.

    Nothing is signalled when the pid belongs to another process by now.
    """
    if process_started(pid) != started:
        return "gone"
    os.kill(pid, signal.SIGTERM)
    if _gone_within(pid, started, deadline_s):
        return "ended"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return "killed" if _gone_within(pid, started, 5.0) else "alive"


def _gone_within(pid: int, started: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while process_started(pid) == started:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log, or a note that there are none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(empty log)"
