"""What a started broker is, and the state that lets a later process find it again."""

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

    `version` is "unknown" and `pid`, `data_dir` are None where the broker is not ours (external);
    `source` names the way it was found: bootstrap, kafka-home, maven or docker.
    """

    kind: BrokerKind
    version: str
    bootstrap: str
    pid: int | None
    data_dir: str | None
    source: str

    @property
    def label(self) -> str:
        """Name the broker for a person, as in "Apache Kafka 4.3.1 (maven) at 127.0.0.1:9092"."""
        names = {"apache-kafka": "Apache Kafka", "external": "external Kafka"}
        version = "" if self.version == "unknown" else f" {self.version}"
        return f"{names[self.kind]}{version} ({self.source}) at {self.bootstrap}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Archive:
    """Classes that the JVM dumps into `scratch` as it exits in good order.

    Whoever stops it moves them to `kept`, so that a half-written dump is never used.
    """

    scratch: str
    kept: str


@dataclass(frozen=True, slots=True)
class BrokerState:
    """A started broker and what identifies its process: `started` differs for a recycled pid."""

    info: BrokerInfo
    port: int
    started: str
    container: str | None = None
    archive: Archive | None = None


def write_state(data_dir: Path, state: BrokerState) -> None:
    """Replace the state file in one step, so that no reader meets half of one."""
    temporary = data_dir / f".{STATE_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    temporary.replace(data_dir / STATE_FILE)


def read_state(data_dir: Path) -> BrokerState | None:
    """Read the state of the last start; None where there is none or it cannot be understood."""
    try:
        raw = json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8"))
        info = BrokerInfo(**raw["info"])
        archive = Archive(**raw["archive"]) if raw.get("archive") else None
        return BrokerState(
            info, int(raw["port"]), str(raw["started"]), raw.get("container"), archive
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
