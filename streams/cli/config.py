"""`visualsearch config`: the effective settings."""

import json
import re
from pathlib import Path
from typing import Any

import click

from streams.cli.options import connection, settings_of


@click.command()
@connection
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(
    bootstrap: str | None, prefix: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Show the effective settings and what each means.

    They come from VISUALSEARCH_* in the environment, a .env file and --config FILE.
    """
    settings = settings_of(bootstrap, prefix, config)
    values = {name: masked(value) for name, value in settings.model_dump(mode="json").items()}
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("environment variable", "value", "meaning", box=None)
    for name, field in type(settings).model_fields.items():
        table.add_row(f"VISUALSEARCH_{name.upper()}", str(values[name]), field.description or "")
    Console().print(table)


def masked(value: Any) -> Any:
    """Hide the user and password of a URL."""
    return re.sub(r"://[^@/]*@", "://***@", value) if isinstance(value, str) else value
