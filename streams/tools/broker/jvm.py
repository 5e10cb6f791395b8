"""Apache Kafka as one JVM, from a class path: format its storage once, then serve."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.info import Archive
from streams.tools.broker.java import Java
from streams.tools.broker.launch import Launcher, LaunchRequest, StartCommands
from streams.tools.broker.properties import Node, new_cluster_id, render, server_properties

LOG4J = Path(__file__).with_name("log4j2.xml")
# A short-lived or small broker gains more from starting than from peak speed.
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xlog:cds=error")


def kafka_version(jars: Sequence[Path]) -> str | None:
    """Read the release from the name of the broker's jar; None if it is not among them."""
    names = (re.fullmatch(r"kafka_2\.\d+-(\d+\.\d+\.\d+(-rc\d+)?)\.jar", jar.name) for jar in jars)
    return next((found[1] for found in names if found), None)


def jvm_launcher(
    java: Java,
    jars: Sequence[Path],
    *,
    source: str,
    request: LaunchRequest,
    archive: Path | None = None,
) -> Launcher:
    """Return a launcher for the Kafka whose jars these are.

    Settings are written at each start, because ports may differ; storage is formatted only in an
    empty folder. `archive` is where the JVM's shared classes are kept from the first stop on: they
    halve the time of a start.
    """
    version = kafka_version(jars)
    if version is None:
        raise BrokerError("These jars hold no Kafka broker (kafka_2.13-*.jar).", code="no_broker")
    # Sorted: the JVM's archive of shared classes is valid for one order of the class path only.
    class_path = ":".join(str(jar) for jar in sorted(jars))
    base = [
        java.path,
        *QUICK_START,
        f"-Xmx{request.heap_mb}m",
        "-Xms64m",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={LOG4J}",
        "-cp",
        class_path,
    ]

    def plan(port: int, controller_port: int) -> StartCommands:
        log_dir = request.data_dir / "kafka"
        settings = request.data_dir / "server.properties"
        node = Node(port=port, controller_port=controller_port, log_dir=str(log_dir))
        settings.write_text(render(server_properties(node)), encoding="utf-8")
        tool = [*base, "kafka.tools.StorageTool", "format", "-t", new_cluster_id()]
        formatted = (log_dir / "meta.properties").exists()
        prepare = [] if formatted else [[*tool, "-c", str(settings), "--ignore-formatted"]]
        flag, dump = archive_flag(archive)
        serve = [base[0], *flag, *base[1:], "kafka.Kafka", str(settings)]
        return StartCommands(serve=serve, prepare=prepare, archive=dump)

    return Launcher("apache-kafka", version, source, plan)


def archive_flag(archive: Path | None) -> tuple[list[str], Archive | None]:
    """Return the JVM's flag to use the class archive, or to dump it at exit if it is missing."""
    if archive is None:
        return [], None
    if archive.exists():
        return [f"-XX:SharedArchiveFile={archive}"], None
    scratch = archive.with_name(f".{archive.name}.{os.getpid()}")
    return [f"-XX:ArchiveClassesAtExit={scratch}"], Archive(str(scratch), str(archive))
