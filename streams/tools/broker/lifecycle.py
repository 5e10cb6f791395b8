"""Start, find again and stop the broker of a data folder."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from streams.kafka.health import answers, wait_until_answers
from streams.tools.broker.errors import BrokerError
from streams.tools.broker.info import Archive, BrokerInfo, BrokerState, read_state, write_state
from streams.tools.broker.launch import Launcher, LaunchRequest, Say, StartCommands
from streams.tools.broker.lock import exclusive_lock
from streams.tools.broker.ports import LOOPBACK, free_port, is_free, require_free
from streams.tools.broker.process import log_tail, process_started, spawn, terminate
from streams.tools.broker.sources import SOURCES, find_launcher
from streams.tools.broker.sources.docker import remove_container
from visualsearch.private import make_folder

DEFAULT_DATA_DIR = Path(".visualsearch/broker")
LOG = "broker.log"


def log_to_stderr(message: str) -> None:
    """Print progress to stderr: stdout may be JSON."""
    print(message, file=sys.stderr, flush=True)


def start_broker(
    data_dir: Path | str = DEFAULT_DATA_DIR,
    port: int | None = None,
    *,
    bootstrap: str | None = None,
    source: str | None = None,
    cache_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
    preferred_port: int | None = None,
    timeout_s: float = 60.0,
    say: Say = log_to_stderr,
) -> BrokerInfo:
    """Return a broker that answers metadata requests, started if need be.

    Starting twice gives the running one. Without `port` the former start's port is kept if it is
    free, else `preferred_port` if that is, else any free one. `bootstrap` names a running broker:
    nothing is started. `source` forces one of kafka-home, maven, docker. Raises BrokerError.
    """
    if bootstrap is not None:
        return _external(bootstrap)
    folder = _usable_folder(Path(data_dir))
    env = os.environ if environ is None else environ
    request = LaunchRequest(folder, cache_dir or default_cache_dir(env), env, say)
    with exclusive_lock(folder / "lock"):
        running = broker_status(folder)
        if running is not None and running.pid is not None:
            return _same_port(running, port, timeout_s)
        names = [source] if source else SOURCES
        launcher = find_launcher(request, {name: SOURCES[name] for name in names})
        return _launch(
            launcher, request, _choose_port(folder, port, preferred_port, say), timeout_s
        )


def broker_status(data_dir: Path | str = DEFAULT_DATA_DIR) -> BrokerInfo | None:
    """Return the broker of a data folder if its process lives, else None; nothing is changed."""
    state = read_state(Path(data_dir))
    if state is None or state.info.pid is None:
        return None
    return state.info if process_started(state.info.pid) == state.started else None


def stop_broker(data_dir: Path | str = DEFAULT_DATA_DIR, *, deadline_s: float = 30.0) -> bool:
    """Stop the broker of a data folder: SIGTERM, SIGKILL past the deadline.

    Returns whether one was running. The state file stays: it keeps the port for the next start.
    """
    state = read_state(Path(data_dir))
    if state is None or state.info.pid is None:
        return False
    ending = terminate(state.info.pid, state.started, deadline_s=deadline_s)
    if ending == "gone":
        return False
    if state.container is not None:
        remove_container(state.container)
    if ending == "alive":
        raise BrokerError(f"Process {state.info.pid} does not end.", code="stop_failed")
    _keep_archive(state.archive, whole=ending == "ended")
    return True


def _keep_archive(archive: Archive | None, *, whole: bool) -> None:
    """Keep the class archive that the JVM dumped as it ended, unless it was killed meanwhile."""
    if archive is None or not Path(archive.scratch).exists():
        return
    if whole:
        Path(archive.scratch).replace(archive.kept)
    else:
        Path(archive.scratch).unlink(missing_ok=True)


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the cache folder: `visualsearch` in XDG_CACHE_HOME, else in ~/.cache."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "visualsearch"


def _external(bootstrap: str) -> BrokerInfo:
    if not answers(bootstrap, timeout_s=10.0):
        raise BrokerError(f"No Kafka broker answers at {bootstrap}.", code="unreachable")
    return BrokerInfo("external", "unknown", bootstrap, None, None, "bootstrap")


def _usable_folder(folder: Path) -> Path:
    try:
        make_folder(folder)
    except OSError as error:
        raise BrokerError(
            f"The data folder cannot be used: {error}", code="data_dir_invalid"
        ) from error
    if "," in str(folder.resolve()):  # Kafka reads its folder as a list
        raise BrokerError(f"{folder.resolve()} has a comma in its path.", code="data_dir_invalid")
    return folder.resolve()


def _same_port(running: BrokerInfo, port: int | None, timeout_s: float) -> BrokerInfo:
    """Return the running broker once it answers. Raises BrokerError for another port."""
    if port is not None and running.bootstrap != f"{LOOPBACK}:{port}":
        raise BrokerError(
            f"The broker of this folder already runs at {running.bootstrap}; stop it first.",
            code="port_taken",
        )
    pid = running.pid or 0
    started = process_started(pid)
    if not wait_until_answers(
        running.bootstrap,
        timeout_s=timeout_s,
        alive=lambda: process_started(pid) == started,
    ):
        raise BrokerError(
            f"Process {pid} runs but {running.bootstrap} does not answer; stop it first.",
            code="start_timeout",
        )
    return running


def _choose_port(folder: Path, port: int | None, preferred: int | None, say: Say) -> int:
    if port is not None:
        return require_free(port)
    former = read_state(folder)
    if former is not None and is_free(former.port):
        return former.port
    if former is not None:
        say(f"Port {former.port} of the last start is taken by now; taking another.")
    return preferred if preferred is not None and is_free(preferred) else free_port()


def _launch(launcher: Launcher, request: LaunchRequest, port: int, timeout_s: float) -> BrokerInfo:
    folder = request.data_dir
    env = {**request.environ, **launcher.env}
    plan = launcher.plan(port, free_port(avoid=frozenset({port})))
    log = folder / LOG
    if log.exists():
        log.replace(folder / f"{LOG}.1")
    _prepare(plan, env, log)
    if plan.container is not None:
        remove_container(plan.container)
    pid = spawn(plan.serve, log=log, env=env)
    started = process_started(pid) or ""
    bootstrap = f"{LOOPBACK}:{port}"
    info = BrokerInfo(launcher.kind, launcher.version, bootstrap, pid, str(folder), launcher.source)
    write_state(folder, BrokerState(info, port, started, plan.container, plan.archive))

    def alive() -> bool:
        return process_started(pid) == started

    if wait_until_answers(bootstrap, timeout_s=timeout_s, alive=alive):
        return info
    died = not alive()
    terminate(pid, started)
    raise _start_error(launcher, port, log, died=died, timeout_s=timeout_s)


def _prepare(plan: StartCommands, env: Mapping[str, str], log: Path) -> None:
    for command in plan.prepare:
        with log.open("ab") as output:
            done = subprocess.run(
                command, env=dict(env), stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode != 0:
            raise BrokerError(
                f"The storage could not be prepared; the end of {log}:\n{log_tail(log)}",
                code="start_failed",
            )


def _start_error(
    launcher: Launcher, port: int, log: Path, *, died: bool, timeout_s: float
) -> BrokerError:
    tail = log_tail(log)
    if "Address already in use" in tail:
        return BrokerError(f"Port {port} was taken while the broker started.", code="port_taken")
    what = "ended while starting" if died else f"did not answer within {timeout_s:.0f} s"
    return BrokerError(
        f"{launcher.kind} {launcher.version} {what}; the end of {log}:\n{tail}",
        code="start_failed" if died else "start_timeout",
    )
