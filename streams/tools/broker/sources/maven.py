"""Apache Kafka's artifacts from Maven Central, fetched once into a cache."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.java import find_java
from streams.tools.broker.jvm import jvm_launcher, kafka_version
from streams.tools.broker.launch import Launcher, LaunchRequest, Unavailable
from streams.tools.broker.lock import exclusive_lock

KAFKA_VERSION = "4.3.1"  # which and why: docs/adr/0001-kafka-release.md
LOG4J_VERSION = "2.25.4"  # the one that this Kafka brings; its slf4j binding it leaves to others
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
TAIL_LINES = 15

POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>visualsearch</groupId>
  <artifactId>local-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def from_maven(request: LaunchRequest) -> Launcher | Unavailable:
    """Use the cached artifacts, or fetch them; needs Java always and Maven the first time."""
    try:
        java = find_java(request.environ)
        jars = cached_jars(request)
    except BrokerError as error:
        return Unavailable("Maven", error.code, str(error))
    # Beside the jars, and gone with them: it is valid for one class path and one Java.
    archive = jars[0].with_name(f"classes-{java.version}.jsa")
    return jvm_launcher(java, jars, source="maven", request=request, archive=archive)


def cached_jars(request: LaunchRequest) -> list[Path]:
    """Return the broker's class path, fetched at most once however many processes ask."""
    folder = request.cache_dir / "kafka" / KAFKA_VERSION
    if not is_complete(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder.with_name(f"{KAFKA_VERSION}.lock")):
            if not is_complete(folder):
                _fetch(folder, request)
    return sorted(folder.glob("*.jar"))


def is_complete(folder: Path) -> bool:
    """Say whether a folder holds what our POM asks for today.

    It appears by one rename after a successful fetch, so it is whole if it is there; a POM that
    differs belongs to another version of this program.
    """
    pom = folder / "pom.xml"
    return pom.exists() and pom.read_text(encoding="utf-8") == POM


def _fetch(folder: Path, request: LaunchRequest) -> None:
    maven = shutil.which("mvn", path=request.environ.get("PATH"))
    if maven is None:
        raise BrokerError(
            "Maven is not installed; it fetches Apache Kafka once "
            "(Debian: apt-get install maven; macOS: brew install maven).",
            code="maven_missing",
        )
    request.say(f"Fetching Apache Kafka {KAFKA_VERSION} through Maven, once, about 45 MB …")
    scratch = Path(tempfile.mkdtemp(prefix=f".{KAFKA_VERSION}-", dir=folder.parent))
    try:
        (scratch / "pom.xml").write_text(POM, encoding="utf-8")
        _run_maven(maven, scratch, request)
        if kafka_version(list(scratch.glob("*.jar"))) != KAFKA_VERSION:
            raise BrokerError("Maven ended well but left no broker.", code="maven_failed")
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    request.say(f"Apache Kafka {KAFKA_VERSION} is in {folder}")


def _run_maven(maven: str, scratch: Path, request: LaunchRequest) -> None:
    """Copy the runtime class path into `scratch`, telling of every tenth artifact downloaded."""
    command = [maven, "--batch-mode", "--file", str(scratch / "pom.xml"), PLUGIN]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={scratch}"]
    lines: list[str] = []
    downloaded = 0
    with subprocess.Popen(
        command,
        env=dict(request.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if "Downloaded from" in line and ".jar" in line:
                downloaded += 1
                if downloaded % 10 == 0:
                    request.say(f"  … {downloaded} artifacts")
    if process.returncode != 0:
        tail = "\n".join(line for line in lines[-TAIL_LINES:] if line)
        raise BrokerError(
            f"Maven could not fetch Apache Kafka {KAFKA_VERSION}; the end of its output:\n{tail}",
            code="maven_failed",
        )
