"""`visualsearch config`: the effective settings."""

import json
import re
from pathlib import Path
from typing import Any

import click

from streams.cli.options import connection_options, settings_from_options

_URL = re.compile(
    r"(?P<scheme>(?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]*://)(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(
    bootstrap: str | None, prefix: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Show the effective settings and what each means.

    They come from VISUALSEARCH_* in the environment, a .env file and --config FILE.
    """
    settings = settings_from_options(bootstrap, prefix, config)
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
    """Hide what may be secret in the URLs of a setting, in lists too.

    User, password, values of the query string and the fragment are hidden. A password may hold
    any character, unescaped too: where a URL is ambiguous, more is hidden than is secret.
    """
    if isinstance(value, dict):
        return {name: masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each) for each in value]
    return _masked_text(value) if isinstance(value, str) else value


def _masked_text(text: str) -> str:
    url = _URL.fullmatch(text)
    scheme, rest = (url["scheme"], url["rest"]) if url else ("", text)
    user, at, place = rest.rpartition("@")
    # `bucket/a@b` is a path, `key:se/cret@bucket` is none.
    if at and ":" in user:
        # A `?` may belong to a password, and an `@` to a query: then nothing is certain.
        rest = "***" if set("?#") & set(user) else f"***@{place}"
    elif at and url and not set("/?#") & set(user):
        rest = f"***@{place}"
    if url and (after := _AFTER_PATH.search(rest)):
        rest = rest[: after.start()] + _masked_query(after[0])
    return scheme + rest


def _masked_query(text: str) -> str:
    """Mask the values of a query string; keep the names of its parameters."""
    parts = [part.partition("=") for part in text[1:].split("&")]
    return text[0] + "&".join(f"{name}=***" if equals else "***" for name, equals, _ in parts)
