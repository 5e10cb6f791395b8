"""The interface of the sources of a broker: their input and their results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from streams.tools.broker.info import Archive, BrokerKind

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """Input of a source: environment, folders, and a callback for progress messages."""

    data_dir: Path
    cache_dir: Path
    environ: Mapping[str, str]
    say: Say
    heap_mb: int = 384


@dataclass(frozen=True, slots=True)
class StartCommands:
    """The commands of one start: `prepare` run to their end, then `serve`, which keeps running."""

    serve: Sequence[str]
    prepare: Sequence[Sequence[str]] = ()
    container: str | None = None
    archive: Archive | None = None


@dataclass(frozen=True, slots=True)
class Launcher:
    """A broker found: what it is, and how it is started on given ports."""

    kind: BrokerKind
    version: str
    source: str
    plan: Callable[[int, int], StartCommands]  # (port, controller port) → commands
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A source that cannot be used here: a stable code, why, and what to install."""

    source: str
    code: str
    reason: str


class BrokerSource(Protocol):
    """A source of brokers. Raises BrokerError if the user configured it and it is unusable."""

    def __call__(self, request: LaunchRequest) -> Launcher | Unavailable:
        """Return a launcher of the broker, or why the source is unavailable."""
        ...
