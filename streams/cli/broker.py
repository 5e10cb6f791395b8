"""`visualsearch broker start|stop|status`: a Kafka broker on this machine."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.tools.broker import BrokerInfo

NOT_RUNNING = 3  # as init scripts say it
DEFAULT_PORT = 9092  # of the other commands' default bootstrap servers

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".visualsearch/broker"),
    show_default=True,
    help="Folder of the broker's log and state; each folder has its own broker.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def broker() -> None:
    """Run a Kafka broker on this machine, reachable from this machine only.

    Apache Kafka is taken from KAFKA_HOME, else fetched once through Maven, else run in Docker.
    """


@broker.command()
@data_dir_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Loopback port. Default: that of the last start, else 9092 if free, else any free one.",
)
@click.option("--bootstrap", help="Check this running broker (host:port); start none.")
@click.option(
    "--source",
    type=click.Choice(["kafka-home", "maven", "docker"]),
    help="Take Apache Kafka from this source only.",
)
@json_option
def start(
    data_dir: Path, port: int | None, bootstrap: str | None, source: str | None, *, as_json: bool
) -> None:
    """Start the broker and return once it answers; a running one is left as it is."""
    from streams.tools.broker import start_broker

    info = start_broker(
        data_dir, port, bootstrap=bootstrap, source=source, preferred_port=DEFAULT_PORT
    )
    _print(info, as_json=as_json)


@broker.command()
@data_dir_option
@json_option
def stop(data_dir: Path, *, as_json: bool) -> None:
    """Stop the broker of the data folder; its data stay."""
    from streams.tools.broker import stop_broker

    stopped = stop_broker(data_dir)
    if as_json:
        click.echo(json.dumps({"stopped": stopped}))
    else:
        click.echo("stopped" if stopped else f"No broker was running on {data_dir}.")


@broker.command()
@data_dir_option
@json_option
def status(data_dir: Path, *, as_json: bool) -> None:
    """Say whether the broker of the data folder runs and answers; exit with 3 if it does not."""
    from streams.kafka.health import answers
    from streams.tools.broker import broker_status

    info = broker_status(data_dir)
    answering = info is not None and answers(info.bootstrap)
    _print(info, as_json=as_json, answering=answering)
    if not answering:
        sys.exit(NOT_RUNNING)


def _print(info: "BrokerInfo | None", *, as_json: bool, answering: bool = True) -> None:
    """Print a broker's state, as one JSON object or as a line of text."""
    if as_json:
        known = info.as_dict() if info is not None else {}
        state = {"running": info is not None, "answering": answering}
        click.echo(json.dumps(state | known))
    elif info is None:
        click.echo("not running")
    else:
        pid = f", pid {info.pid}, data in {info.data_dir}" if info.pid is not None else ""
        click.echo(f"{info.label}{pid}{'' if answering else ' DOES NOT ANSWER'}")
