"""How a source says that a broker can be started, and what it needs to know for that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from streams.tools.broker.info import Archive, BrokerKind

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What is wanted of a source: environment, folders, and where progress is told."""

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
    """One way to a broker; it raises BrokerError where the user asked for it and it is broken."""

    def __call__(self, request: LaunchRequest) -> Launcher | Unavailable:
        """Find the broker, or say why this way is closed."""
        ...
