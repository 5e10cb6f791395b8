"""Tables of search results."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from streams.web.gallery import format_price
from visualsearch.contracts.search import SearchHit, SearchResult


def hits_table(hits: Iterable[SearchHit]) -> Table:
    """Return a row per hit, best first."""
    table = Table(box=None, header_style="dim")
    table.add_column("", justify="right", style="dim")
    table.add_column("score", justify="right")
    table.add_column("product", no_wrap=True, style="cyan")
    table.add_column("title", overflow="fold")
    table.add_column("category")
    table.add_column("brand")
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("stock")
    listed = list(hits)
    collapsed = any(hit.variants for hit in listed)
    guessing = any(hit.guessed for hit in listed)
    if collapsed:
        table.add_column("variants", overflow="fold")
    if guessing:
        table.add_column("guessed", overflow="fold", style="dim")
    stock = {True: "yes", False: "[red]no[/]", None: ""}
    for number, hit in enumerate(listed, 1):
        cells = (hit.product_id, hit.title, hit.category or "", hit.brand or "", format_price(hit))
        plain = [_plain(cell) for cell in cells]
        more = [", ".join(each.product_id for each in hit.variants)] if collapsed else []
        more += [guessed_line(hit)] if guessing else []
        extra = [_plain(cell) for cell in more]
        table.add_row(str(number), f"{hit.score:.3f}", *plain, stock[hit.in_stock], *extra)
    return table


def _plain(text: str) -> str:
    """Escape rich's markup."""
    return text.replace("[", r"\[")


def guessed_line(hit: SearchHit) -> str:
    """Return the guessed attributes as text, the most confident first."""
    surest = sorted(hit.guessed.items(), key=lambda pair: -pair[1].confidence)
    return ", ".join(f"{name} {one.value} {one.confidence:.0%}" for name, one in surest)


def print_result(result: SearchResult, console: Console) -> None:
    """Print the hits, hints on filters, and a line on how the hits were found."""
    if result.regions is not None:
        for region in result.regions:
            where = ", ".join(f"{edge:.2f}" for edge in region.box)
            console.print(
                f"{region.category or 'the photo'} at {where}", style="bold", markup=False
            )
            console.print(hits_table(region.hits))
    elif result.hits:
        console.print(hits_table(result.hits))
    for hint in result.hints:
        near = f"; close: {', '.join(hint.close)}" if hint.close else ""
        console.print(f"{hint.field}: no product has {hint.value!r}{near}", markup=False)
    console.print(result_line(result), style="dim", highlight=False)


def result_line(result: SearchResult) -> str:
    """Return the number of hits and matching products, the strategy and the time."""
    plan, index = result.plan, result.index
    parts = [f"{len(result.hits)} hits"]
    if result.regions is not None:
        parts[0] += f" in {len(result.regions)} regions"
    if plan is not None and index is not None:
        parts[0] += f" of {plan.matches:,} matching products, {index.products:,} indexed"
        parts.append(f"{plan.strategy}, {plan.visited:,} images scored")
    parts.append(f"{result.took_ms.total:.0f} ms in the worker")
    return "; ".join(parts)
