"""Which way to a broker is taken, and what is said about those that are not."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.launch import Launcher, Plan, Request, Source, Unavailable
from streams.tools.broker.sources import SOURCES, find_launcher
from streams.tools.broker.sources.docker import from_docker
from streams.tools.broker.sources.kafka_home import from_kafka_home
from streams.tools.broker.sources.maven import KAFKA_VERSION, POM, cached_jars, from_maven

JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"
JAVA_11 = "echo 'openjdk version \"11.0.22\" 2024-01-16' >&2"
# Does what copy-dependencies does, as far as the cache can see, and counts its runs.
MAVEN = f"""echo run >> "$(dirname "$0")/runs"
for arg; do case "$arg" in -DoutputDirectory=*) out="${{arg#*=}}";; esac; done
echo "Downloaded from central: x.jar"
touch "$out/kafka_2.13-{KAFKA_VERSION}.jar" "$out/scala-library-2.13.18.jar"
"""


RequestWith = Callable[..., Request]


class Told(list[str]):
    """Progress messages, kept."""

    def __call__(self, message: str) -> None:
        """Keep one."""
        self.append(message)


@pytest.fixture
def told() -> Told:
    """Give a place for progress messages."""
    return Told()


@pytest.fixture
def request_with(tmp_path: Path, told: Told) -> RequestWith:
    """Give a factory of requests on a machine that has just the given programs (name → script)."""

    def make(environ: dict[str, str] | None = None, **programs: str) -> Request:
        programs_dir = tmp_path / "bin"
        programs_dir.mkdir(exist_ok=True)
        for name, script in programs.items():
            path = programs_dir / name
            path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
            path.chmod(0o755)
        data_dir = tmp_path / "data"
        data_dir.mkdir(exist_ok=True)
        env = {"PATH": str(programs_dir), **(environ or {})}
        return Request(data_dir, tmp_path / "cache", env, told)

    return make


def launcher(kind: str, source: str) -> Launcher:
    """Return a launcher that is never started."""
    return Launcher(kind, "1.0", source, lambda port, _: Plan([str(port)]))


def test_order_of_sources_is_the_documented_one() -> None:
    """What the user set comes first."""
    assert list(SOURCES) == ["kafka-home", "maven", "docker"]


def test_first_source_that_is_there_wins(request_with: RequestWith, told: Told) -> None:
    """A later source is not even asked, and why the earlier one was passed over is told."""
    asked = []

    def source(name: str, answer: Launcher | Unavailable) -> Source:
        def probe(_: Request) -> Launcher | Unavailable:
            asked.append(name)
            return answer

        return probe

    found = find_launcher(
        request_with(),
        {
            "a": source("a", Unavailable("A", "not_set", "not set")),
            "b": source("b", Unavailable("B", "maven_failed", "no network")),
            "c": source("c", launcher("apache-kafka", "c")),
            "d": source("d", launcher("apache-kafka", "d")),
        },
    )
    assert found.source == "c"
    assert asked == ["a", "b", "c"]
    assert told == ["Passed over B: no network"]


def test_no_way_at_all_names_every_reason_and_what_to_install(request_with: RequestWith) -> None:
    """The code is that of the first cause worth telling, not of what was merely not set."""
    closed = {
        "kafka-home": lambda _: Unavailable("KAFKA_HOME", "not_set", "not set"),
        "maven": lambda _: Unavailable("Maven", "java_too_old", "Java is 11"),
        "docker": lambda _: Unavailable("Docker", "docker_missing", "not installed"),
    }
    with pytest.raises(BrokerError) as caught:
        find_launcher(request_with(), closed)
    assert caught.value.code == "java_too_old"
    for part in ("KAFKA_HOME: not set", "Java is 11", "Docker: not installed"):
        assert part in str(caught.value)
    for cure in ("apt-get install", "set KAFKA_HOME", "start Docker", "--bootstrap"):
        assert cure in str(caught.value)


def test_kafka_home_unset_is_no_error(request_with: RequestWith) -> None:
    """Most people have none."""
    found = from_kafka_home(request_with())
    assert isinstance(found, Unavailable)
    assert found.code == "not_set"


@pytest.mark.parametrize(
    ("jar", "said"),
    [("commons.jar", "holds no Kafka"), ("kafka_2.13-3.9.1.jar", "is Apache Kafka")],
)
def test_kafka_home_that_cannot_be_used_is_an_error(
    request_with: RequestWith, tmp_path: Path, jar: str, said: str
) -> None:
    """Whoever sets KAFKA_HOME means it: it is not passed over in silence."""
    (tmp_path / "home" / "libs").mkdir(parents=True)
    (tmp_path / "home" / "libs" / jar).touch()
    request = request_with({"KAFKA_HOME": str(tmp_path / "home")}, java=JAVA_17)
    with pytest.raises(BrokerError, match=said) as caught:
        from_kafka_home(request)
    assert caught.value.code == "kafka_home_invalid"


def test_kafka_home_is_started_from_its_libs(request_with: RequestWith, tmp_path: Path) -> None:
    """Its version is read from its jar; a fresh folder is formatted, a used one is not."""
    libs = tmp_path / "home" / "libs"
    libs.mkdir(parents=True)
    for name in ("kafka_2.13-4.2.1.jar", "kafka_2.13-4.2.1-sources.jar", "a.jar"):
        (libs / name).touch()
    request = request_with({"KAFKA_HOME": str(tmp_path / "home")}, java=JAVA_17)
    found = from_kafka_home(request)
    assert isinstance(found, Launcher)
    assert (found.kind, found.version, found.source) == ("apache-kafka", "4.2.1", "kafka-home")
    fresh = found.plan(21000, 21001)
    assert ["kafka.tools.StorageTool" in command for command in fresh.prepare] == [True]
    assert fresh.serve[-2] == "kafka.Kafka"
    (request.data_dir / "kafka").mkdir()
    (request.data_dir / "kafka" / "meta.properties").touch()
    assert found.plan(21000, 21001).prepare == []


def test_maven_without_java_or_with_an_old_one(request_with: RequestWith) -> None:
    """The missing thing is named, by a stable code."""
    missing = from_maven(request_with())
    assert isinstance(missing, Unavailable)
    assert missing.code == "java_missing"
    old = from_maven(request_with(java=JAVA_11))
    assert isinstance(old, Unavailable)
    assert old.code == "java_too_old"
    assert "11.0.22" in old.reason
    assert "17" in old.reason


def test_maven_that_is_not_installed(request_with: RequestWith) -> None:
    """Java alone fetches nothing."""
    found = from_maven(request_with(java=JAVA_17))
    assert isinstance(found, Unavailable)
    assert found.code == "maven_missing"


def test_maven_that_fails_is_quoted_and_leaves_nothing(
    request_with: RequestWith, tmp_path: Path
) -> None:
    """The end of its output is what helps; half a fetch is never taken for a whole one."""
    request = request_with(java=JAVA_17, mvn='echo "[ERROR] Could not resolve host"; exit 1')
    found = from_maven(request)
    assert isinstance(found, Unavailable)
    assert found.code == "maven_failed"
    assert "Could not resolve host" in found.reason
    left = [path.name for path in (tmp_path / "cache" / "kafka").iterdir()]
    assert left == [f"{KAFKA_VERSION}.lock"]


def test_maven_fetches_once(request_with: RequestWith, tmp_path: Path, told: Told) -> None:
    """The second start finds the cache; a POM of another version of this program refreshes it."""
    request = request_with(java=JAVA_17, mvn=MAVEN)
    found = from_maven(request)
    assert isinstance(found, Launcher)
    assert (found.kind, found.version, found.source) == ("apache-kafka", KAFKA_VERSION, "maven")
    assert told[0].startswith(f"Fetching Apache Kafka {KAFKA_VERSION}")
    cached_jars(request)
    assert (tmp_path / "bin" / "runs").read_text().count("run") == 1
    (tmp_path / "cache" / "kafka" / KAFKA_VERSION / "pom.xml").write_text("<project/>")
    assert len(cached_jars(request)) == 2
    assert (tmp_path / "bin" / "runs").read_text().count("run") == 2


def test_pom_asks_for_the_broker_of_the_chosen_release() -> None:
    """It is well-formed and names the artifact that holds kafka.Kafka."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    found = {
        item.findtext("m:artifactId", namespaces=names): item.findtext(
            "m:version", namespaces=names
        )
        for item in ET.fromstring(POM).iterfind(".//m:dependency", names)  # noqa: S314  # our own
    }
    assert found["kafka_2.13"] == KAFKA_VERSION


def test_docker_client_without_an_engine_is_passed_over(request_with: RequestWith) -> None:
    """A docker command on PATH says nothing; `docker info` must answer."""
    found = from_docker(request_with(docker="echo cannot connect >&2; exit 1"))
    assert isinstance(found, Unavailable)
    assert "docker info" in found.reason


def test_docker_publishes_on_loopback_only(request_with: RequestWith) -> None:
    """The container listens on all its own interfaces, this machine on one."""
    request = request_with(docker="exit 0")
    found = from_docker(request)
    assert isinstance(found, Launcher)
    plan = found.plan(21000, 21001)
    assert f"apache/kafka:{KAFKA_VERSION}" in plan.serve
    assert plan.serve[plan.serve.index("--publish") + 1] == "127.0.0.1:21000:21000"
    assert plan.container in plan.serve
    written = (request.data_dir / "server.properties").read_text()
    assert "advertised.listeners=BROKER://127.0.0.1:21000\n" in written


def test_sources_import_nothing_heavy() -> None:
    """`visualsearch --help` and the sources need no Kafka client."""
    code = "import sys, streams.tools.broker; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
