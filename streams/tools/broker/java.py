"""Find a Java that can run the broker."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.tools.broker.errors import BrokerError

NEEDED = 17  # brokers of Apache Kafka 4.x do not start below


@dataclass(frozen=True, slots=True)
class Java:
    """A java executable, its version ("17.0.15") and feature release (17; 8 for 1.8.0)."""

    path: str
    version: str
    release: int


def parse_version(text: str) -> tuple[str, int] | None:
    """Read version and feature release from what `java -version` prints; None if not there."""
    found = re.search(r'version "((\d+)(?:\.(\d+))?[^"]*)"', text)
    if found is None:
        return None
    first, second = int(found[2]), int(found[3] or 0)
    return found[1], second if first == 1 else first  # 1.8.0 is Java 8


def find_java(environ: Mapping[str, str], *, needed: int = NEEDED) -> Java:
    """Return the Java of JAVA_HOME, else of PATH; raise java_missing or java_too_old."""
    home = environ.get("JAVA_HOME")
    at_home = str(Path(home, "bin", "java")) if home else None
    path = at_home or shutil.which("java", path=environ.get("PATH"))
    advice = f"Install a Java of {needed} or newer (Debian: apt-get install openjdk-17-jre-headless"
    advice += "; macOS: brew install openjdk@17) or point JAVA_HOME to one."
    if path is None:
        raise BrokerError(f"No Java was found. {advice}", code="java_missing")
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerError(
            f"{path} does not run ({error}). {advice}", code="java_missing"
        ) from error
    parsed = parse_version(done.stderr + done.stdout)
    if done.returncode != 0 or parsed is None:
        raise BrokerError(f"{path} does not run. {advice}", code="java_missing")
    version, release = parsed
    if release < needed:
        raise BrokerError(
            f"{path} is Java {version}; Apache Kafka needs {needed}. {advice}", code="java_too_old"
        )
    return Java(path, version, release)
