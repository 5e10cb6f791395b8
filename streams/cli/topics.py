"""`visualsearch topics create|describe`: a cluster's topics and their specification."""

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
    """Create or describe the topics; existing ones are never changed."""


@topics.command()
@connection_options
@click.option("--products", type=click.IntRange(1), default=4, show_default=True,
              help="Partitions of each product topic.")  # fmt: skip
@click.option("--index-log", type=click.IntRange(1), default=8, show_default=True,
              help="Partitions of the index log; another number needs a new log.")  # fmt: skip
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
    """Create missing topics; exit with 2 if an existing one differs from its specification."""
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
    """Show each topic, and how it differs from its specification."""
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
    """Print a row per topic, then a line per difference from its specification."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, title=bootstrap, title_justify="left")
    table.add_column("topic", overflow="fold")
    for column in ("partitions", "max message", "retention", "state"):
        table.add_column(column, no_wrap=True)
    for spec, state in zip(specs, states, strict=True):
        status = "created" if state.name in created and state.status == "ok" else state.status
        partitions = "-" if state.partitions is None else str(state.partitions)
        retention = _retention(spec.config)
        size = f"{int(spec.config['max.message.bytes']) >> 20} MiB"
        table.add_row(state.name, partitions, size, retention, f"[{COLORS[status]}]{status}[/]")
    Console().print(table)
    for item in (item for state in states for item in state.mismatches):
        click.echo(f"{item.topic}: {item.what} is {item.found}, not {item.wanted}")


def _retention(config: Mapping[str, str]) -> str:
    """Return the retention as text."""
    if config["cleanup.policy"] == "compact":
        return "compacted"
    hours = int(config["retention.ms"]) / 3_600_000
    if hours < 0:
        return "forever"
    return f"{hours / 24:g} days" if hours > 24 else f"{hours:g} h"
