"""`visualsearch explain PRODUCT_ID --request`: why a product is, or is not, a hit."""

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.cli.search import send_request
from streams.config.settings import Settings
from streams.tools.dlq.tables import cell
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.explained import PartScore, ProductExplanation
from visualsearch.contracts.request_id import with_request_id
from visualsearch.contracts.search import decode_request

_PASSED = {True: "[green]✓[/]", False: "[red]✗[/]"}
_GOOD = {"hit": "bold green", "outranked": "bold yellow", "collapsed": "bold yellow"}


def explain_request(settings: Settings, product_id: str, body: bytes, *, as_json: bool) -> None:
    """Send the request and print the product's explanation; exit with 1 if it is refused."""
    try:
        request = decode_request(with_request_id(body))
    except SchemaError as error:
        raise click.ClickException(f"--request: {error} [{error.code}]") from None
    request.explain = [product_id]
    result = send_request(settings, request)
    if result.error is not None:
        field = f", field {result.error.field}" if result.error.field else ""
        raise click.ClickException(f"{result.error.message} [{result.error.code}{field}]")
    if not result.explained:
        raise click.ClickException("the result has no explanation: is the worker too old?")
    (explanation,) = result.explained
    if as_json:
        click.echo(msgspec.json.encode(explanation))
    else:
        _print(explanation)


def _print(explanation: ProductExplanation) -> None:
    out = Console(highlight=False)
    if explanation.filters:
        out.print(_table("filters", ("", "clause", "wanted", "the product has"), [
            (_PASSED[one.passed], *map(cell, (one.field, one.wanted, one.has or "nothing")))
            for one in explanation.filters
        ]))  # fmt: skip
    if explanation.parts:
        columns = ("part", "weight", "similarity", "contribution")
        out.print(_table("score", columns, _parts(explanation.parts)))
    style = _GOOD.get(explanation.status, "bold red")
    out.print(Text(explanation.text, style=style), soft_wrap=True)
    if (rival := explanation.pushed_out_by) is not None:
        out.print(
            f"before it: {rival.product_id} ({rival.title}), {rival.score:.3f}",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _parts(parts: list[PartScore]) -> list[tuple[str | Text, ...]]:
    rows: list[tuple[str | Text, ...]] = [
        (cell(one.field), f"{one.weight:.2f}", f"{one.similarity:.3f}",
         f"{one.contribution:+.3f}")
        for one in parts
    ]  # fmt: skip
    total = sum(one.contribution for one in parts)
    return [*rows, ("total", "", "", f"{total:+.3f}")]


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str | Text, ...]]) -> Table:
    table = Table(
        *columns, box=None, title=title, title_justify="left", title_style="bold",
        header_style="dim",
    )  # fmt: skip
    for row in rows:
        table.add_row(*row)
    return table
