"""A started broker, and the state file by which a later process finds it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

BrokerKind = Literal["apache-kafka", "external"]
STATE_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """A broker that answers on `bootstrap`.

    Of an external broker, `version` is "unknown" and `pid` and `data_dir` are None. `source` is
    bootstrap, kafka-home, maven or docker.
    """

    kind: BrokerKind
    version: str
    bootstrap: str
    pid: int | None
    data_dir: str | None
    source: str

    @property
    def label(self) -> str:
        """A name for people, such as "Apache Kafka 4.3.1 (maven) at 127.0.0.1:9092"."""
        names = {"apache-kafka": "Apache Kafka", "external": "external Kafka"}
        version = "" if self.version == "unknown" else f" {self.version}"
        return f"{names[self.kind]}{version} ({self.source}) at {self.bootstrap}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Archive:
    """The JVM's class archive: dumped to `scratch` on a clean exit.

    The process that stops the JVM moves it to `kept`, so that a partial dump is never used.
    """

    scratch: str
    kept: str


@dataclass(frozen=True, slots=True)
class BrokerState:
    """A started broker; `started`, its process's start time, tells a recycled pid apart."""

    info: BrokerInfo
    port: int
    started: str
    container: str | None = None
    archive: Archive | None = None


def write_state(data_dir: Path, state: BrokerState) -> None:
    """Replace the state file atomically."""
    temporary = data_dir / f".{STATE_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    temporary.replace(data_dir / STATE_FILE)


def read_state(data_dir: Path) -> BrokerState | None:
    """Read the state of the last start; None if it is missing or invalid."""
    try:
        raw = json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8"))
        info = BrokerInfo(**raw["info"])
        archive = Archive(**raw["archive"]) if raw.get("archive") else None
        return BrokerState(
            info, int(raw["port"]), str(raw["started"]), raw.get("container"), archive
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
