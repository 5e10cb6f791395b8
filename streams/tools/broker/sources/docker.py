"""Apache Kafka's own image, where a Docker engine answers."""

import os
import shutil
import subprocess

from streams.tools.broker.jvm import LOG4J
from streams.tools.broker.launch import Launcher, LaunchRequest, StartCommands, Unavailable
from streams.tools.broker.ports import LOOPBACK
from streams.tools.broker.properties import Node, new_cluster_id, render, server_properties
from streams.tools.broker.sources.maven import KAFKA_VERSION

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
# The image's own start script takes settings from the environment; ours are in the mounted file.
SERVE = (
    "/opt/kafka/bin/kafka-storage.sh format --ignore-formatted -t {cluster} "
    "-c /visualsearch/server.properties && "
    "exec /opt/kafka/bin/kafka-server-start.sh /visualsearch/server.properties"
)


def from_docker(request: LaunchRequest) -> Launcher | Unavailable:
    """Use Docker if its engine answers; a client without an engine is passed over."""
    docker = shutil.which("docker", path=request.environ.get("PATH"))
    if docker is None:
        return Unavailable("Docker", "docker_missing", "not installed")
    if not engine_answers(docker):
        return Unavailable("Docker", "docker_missing", "its engine does not answer `docker info`")

    def plan(port: int, controller_port: int) -> StartCommands:
        folder = request.data_dir
        (folder / "kafka").mkdir(exist_ok=True)
        (folder / "log4j2.xml").write_bytes(LOG4J.read_bytes())
        # All interfaces of the container; only loopback of this machine is published.
        node = Node(port, controller_port, "/visualsearch/kafka", bind="0.0.0.0")  # noqa: S104
        text = render(server_properties(node))
        (folder / "server.properties").write_text(text, encoding="utf-8")
        name = f"visualsearch-broker-{port}"
        command = [docker, "run", "--rm", "--name", name]
        command += ["--user", f"{os.getuid()}:{os.getgid()}"]
        command += ["--publish", f"{LOOPBACK}:{port}:{port}"]
        command += ["--volume", f"{folder}:/visualsearch"]
        command += ["--env", f"KAFKA_HEAP_OPTS=-Xmx{request.heap_mb}m -Xms64m"]
        command += ["--env", "LOG_DIR=/tmp/kafka-logs"]
        command += [
            "--env",
            "KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/visualsearch/log4j2.xml",
        ]
        command += ["--entrypoint", "/bin/sh", IMAGE, "-c", SERVE.format(cluster=new_cluster_id())]
        # A container of this name can only be left over from a client that was killed.
        return StartCommands(serve=command, container=name)

    return Launcher("apache-kafka", KAFKA_VERSION, "docker", plan)


def engine_answers(docker: str) -> bool:
    """Say whether the engine behind a docker client answers within ten seconds."""
    try:
        done = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def remove_container(name: str) -> None:
    """Remove a container whose client is gone; a missing one is no error."""
    docker = shutil.which("docker")
    if docker is not None:
        subprocess.run([docker, "rm", "--force", name], capture_output=True, check=False)
