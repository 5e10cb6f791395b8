"""`visualsearch topics create|describe`: the topics on a cluster, beside how they should be."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.options import connection_options, settings_from_options

if TYPE_CHECKING:
    from streams.config.topics import TopicSpec
    from streams.kafka.topics import TopicState

DIFFERENT = 2
COLORS = {"ok": "green", "created": "green", "mismatch": "red", "missing": "yellow"}
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def topics() -> None:
    """Create the topics, or look at them; existing ones are never changed."""


@topics.command()
@connection_options
@click.option("--products", type=click.IntRange(1), default=4, show_default=True,
              help="Partitions of each product topic.")  # fmt: skip
@click.option("--index-log", type=click.IntRange(1), default=8, show_default=True,
              help="Partitions of the index log; another number later is a new log.")  # fmt: skip
@json_option
def create(
    bootstrap: str | None,
    prefix: str | None,
    config: Path | None,
    products: int,
    index_log: int,
    *,
    as_json: bool,
) -> None:
    """Create what is missing; exit with 2 if an existing topic is not as it should be."""
    from streams.config.topics import topic_specs
    from streams.kafka.topics import create_topics, describe_topics

    settings = settings_from_options(bootstrap, prefix, config)
    specs = topic_specs(settings.topics, products=products, index_log=index_log)
    report = create_topics(settings.bootstrap, specs)
    if as_json:
        click.echo(json.dumps({"bootstrap": settings.bootstrap} | report.as_dict()))
    else:
        states = describe_topics(settings.bootstrap, specs)
        _table(settings.bootstrap, specs, states, created=report.created)
    if report.mismatches:
        sys.exit(DIFFERENT)


@topics.command()
@connection_options
@json_option
def describe(
    bootstrap: str | None, prefix: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Show each topic as it is, and where it is not as it should be."""
    from streams.config.topics import topic_specs
    from streams.kafka.topics import describe_topics

    settings = settings_from_options(bootstrap, prefix, config)
    specs = topic_specs(settings.topics)
    states = describe_topics(settings.bootstrap, specs)
    if as_json:
        rows = [{"status": state.status} | asdict(state) for state in states]
        click.echo(json.dumps({"bootstrap": settings.bootstrap, "topics": rows}))
    else:
        _table(settings.bootstrap, specs, states)


def _table(
    bootstrap: str,
    specs: Sequence["TopicSpec"],
    states: Sequence["TopicState"],
    *,
    created: Sequence[str] = (),
) -> None:
    """Print a line per topic: what it is for, and each difference."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, title=bootstrap, title_justify="left")
    table.add_column("topic", overflow="fold")
    for column in ("partitions", "largest", "kept", "state"):
        table.add_column(column, no_wrap=True)
    for spec, state in zip(specs, states, strict=True):
        status = "created" if state.name in created and state.status == "ok" else state.status
        partitions = "-" if state.partitions is None else str(state.partitions)
        kept = _kept(spec.config)
        size = f"{int(spec.config['max.message.bytes']) >> 20} MiB"
        table.add_row(state.name, partitions, size, kept, f"[{COLORS[status]}]{status}[/]")
    Console().print(table)
    for item in (item for state in states for item in state.mismatches):
        click.echo(f"{item.topic}: {item.what} is {item.found}, not {item.wanted}")


def _kept(config: Mapping[str, str]) -> str:
    """Say in words how long records stay."""
    if config["cleanup.policy"] == "compact":
        return "last of each key"
    hours = int(config["retention.ms"]) / 3_600_000
    if hours < 0:
        return "forever"
    return f"{hours / 24:g} days" if hours > 24 else f"{hours:g} h"
