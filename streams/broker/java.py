"""Find a Java that can run the broker."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.broker.errors import BrokerError

NEEDED = 17  # brokers of Apache Kafka 4.x do not start below


@dataclass(frozen=True, slots=True)
class Java:
    """A java executable and its feature release (17 for 17.0.15, 8 for 1.8.0)."""

    path: str
    release: int


def parse_release(text: str) -> int | None:
    """Read the feature release from what `java -version` prints; None if it is not there."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2] or 0)
    return second if first == 1 else first  # 1.8.0 is Java 8


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
        raise BrokerError(f"{path} does not run ({error}). {advice}", code="java_missing") from error
    release = parse_release(done.stderr + done.stdout)
    if done.returncode != 0 or release is None:
        raise BrokerError(f"{path} does not run. {advice}", code="java_missing")
    if release < needed:
        raise BrokerError(
            f"{path} is Java {release}; Apache Kafka needs {needed}. {advice}", code="java_too_old"
        )
    return Java(path, release)
