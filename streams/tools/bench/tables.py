"""Print the measurements as tables, then the verdicts."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 160  # columns of a file or a pipe
MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]·[/]"}


def print_report(report: dict[str, Any], console: Console | None = None) -> None:
    """Print every measurement with its conditions, then each target with its verdict."""
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    data, machine = report["data"], report["host"]
    console.print(
        f"{data['n']:,} x {data['d']} vectors ({data['made']}), {data['queries']} queries; "
        f"k {data['k']} and recall target {data['recall_target']} unless it says otherwise\n"
        f"{machine['cores']} cores, {machine['processor']}; one thread searches",
        style="dim", markup=False, soft_wrap=True,
    )  # fmt: skip
    for name, result in report["results"].items():
        load = ", ".join(f"{one:.1f}" for one in result["host"]["load_average"])
        again = "; of an earlier run" if result["resumed"] else ""
        console.print(
            f"\n[bold]{name}[/] [dim]{result['seconds']:,.0f} s; load at the start {load}{again}[/]"
        )
        console.print(_table(result["rows"]))
    if report["verdicts"]:
        console.print("\n[bold]verdicts[/]")
        console.print(_verdicts(report["verdicts"]))
    for line in report["left_out"]:
        console.print(f"note: {line}", style="yellow", markup=False, soft_wrap=True)


def _table(rows: list[dict[str, Any]]) -> Table:
    """Return a table with every column that occurs in a row."""
    table = Table(box=None, header_style="dim")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        words = any(isinstance(row.get(name), str) for row in rows)
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else escape(str(value))


def _verdicts(verdicts: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim")
    for name, justify in (("measurement", "left"), ("figure", "left"), ("", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("target")
    table.add_column("")
    for verdict in verdicts:
        table.add_row(
            verdict["measurement"],
            escape(
                verdict["figure"] + (f" (worst of {verdict['of']})" if verdict["of"] > 1 else "")
            ),
            "not measured" if verdict["value"] is None else f"{verdict['value']:,.4g}",
            verdict["bar"],
            MARKS[verdict["met"]],
        )
    return table
