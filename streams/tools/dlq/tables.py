"""Tables of dead letters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.tools.dlq.dead_letters import DeadLetter
from streams.tools.dlq.show import printable, readable

_CUT = 100
_STYLES = {"replayed": "green", "would_replay": "cyan", "refused": "red", "same_event": "dim"}


def cell(text: str | None, *, cut: int | None = _CUT, style: str = "") -> Text:
    """Return untrusted text as one line of a table: no markup, no control characters."""
    line = printable(text or "").replace("\n", " ")
    return Text(line if cut is None or len(line) <= cut else f"{line[:cut]}…", style=style)


def to_seconds(text: str | None) -> str:
    """Return an ISO time to the second."""
    return "" if text is None else text[:19].replace("T", " ")


def print_dead_letters(rows: Sequence[Mapping[str, Any]], counts: Counter[str]) -> None:
    """Print a row per letter, and the count of each code."""
    if rows:
        table = Table(box=None, header_style="dim")
        for name in ("letter", "when (UTC)", "original", "product"):
            table.add_column(name, no_wrap=True, style="cyan" if name == "product" else "")
        table.add_column("stage")
        table.add_column("code", no_wrap=True, style="yellow")
        table.add_column("message", overflow="fold", ratio=1)
        table.add_column("attempts", justify="right")
        for row in rows:
            texts = (row["original"], row["product_id"], row["stage"], row["code"], row["message"])
            tries = "" if row["attempts"] is None else str(row["attempts"])
            table.add_row(row["position"], to_seconds(row["time"]), *map(cell, texts), tries)
        console().print(table)
    total = counts.total()
    codes = ", ".join(f"{printable(code)} {count:,}" for code, count in counts.most_common())
    newest = f"; the newest {len(rows):,} are shown" if len(rows) < total else ""
    click.echo(f"{total:,} dead letters: {codes}{newest}" if total else "no dead letters")


def print_dead_letter(letter: DeadLetter) -> None:
    """Print all of a letter; long strings in its value are cut."""
    row = letter.as_dict()
    place = letter.place
    order = "lost" if place is None else f"{place.timestamp_ms} ms, offset {place.offset}"
    lines = {
        "dead letter": row["position"],
        "when (UTC)": to_seconds(row["time"]),
        "original": row["original"],
        "product": row["product_id"],
        "error": f"{row['code']} (stage {row['stage']}, attempts {row['attempts']})",
        "message": row["message"],
        "order": order + (", kept from an earlier replay" if row["replayed"] else ""),
        "omitted": ", ".join(f"{k} of {v:,} bytes" for k, v in row["omitted"].items()),
    }
    table = Table(box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        if text:
            table.add_row(name, cell(text, cut=None))
    for name, value in letter.own_headers:
        shown = "null" if value is None else value.decode("utf-8", "backslashreplace")
        table.add_row("header", cell(f"{name}: {shown}"))
    console().print(table)
    click.echo(printable(readable(letter.message.value)))


def print_replayed(rows: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> None:
    """Print a row per letter with its outcome."""
    if rows:
        table = Table(box=None, header_style="dim")
        for name in ("letter", "product", "code", "outcome"):
            table.add_column(name, no_wrap=True)
        table.add_column("", overflow="fold", ratio=1)
        for row in rows:
            outcome = row["outcome"]
            what = Text(outcome.replace("_", " "), style=_STYLES[outcome])
            note = f"{row['reason']} [{row['reason_code']}]" if row["reason_code"] else (
                row["reason"] or f"to {row['to']}"
            )  # fmt: skip
            product, code = cell(row["product_id"]), cell(row["code"])
            table.add_row(row["position"], product, code, what, cell(note, cut=None))
        console().print(table)
    for position in missing:
        click.echo(f"no dead letter {position}", err=True)
    counts = Counter(row["outcome"] for row in rows)
    summary = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    kept = "; the dead letters are kept" if counts["replayed"] else ""
    click.echo(f"{summary}{kept}" if rows else "no dead letters match")


def console() -> Console:
    """Return the console for tables; a pipe gets lines long enough to be searched."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)
