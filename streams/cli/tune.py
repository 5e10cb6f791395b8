"""`visualsearch tune`: measure recall and latency on the user's own data, choose settings."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.options import FiniteRange, settings_from_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.config.settings import Settings
    from streams.tools.evaluation.local_index import LocalIndex
    from streams.tools.evaluation.queries import Queries
    from streams.tools.tuning.curves import ChosenSettings, MeasuredSetting

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WORKER = "http://127.0.0.1:8080"
NOT_MET = 1


@click.command()
@click.option("--queries", "queries_file", type=FILE, required=True, metavar="FILE.jsonl",
              help="Searches, as for `visualsearch evaluate`.")  # fmt: skip
@click.option("--slo-ms", type=FiniteRange(0, min_open=True), default=20.0, show_default=True,
              help="Target of the p95 latency of an index search.")  # fmt: skip
@click.option("--recall", type=FiniteRange(0, 1, min_open=True), default=0.98,
              show_default=True, help="Target recall, against the exact result.")  # fmt: skip
@click.option("--top-k", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="How many products a search returns.")  # fmt: skip
@click.option("--catalog", metavar="FILE|FOLDER", type=click.Path(exists=True, path_type=Path),
              help="Embed this catalog instead of reading a worker's index.")  # fmt: skip
@click.option("--http", "worker", default=_WORKER, show_default=True,
              help="The worker whose index is rebuilt and measured here.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.toml",
              help="Write the chosen settings, for --config.")  # fmt: skip
@click.option("--config", type=FILE, help="Settings as TOML or JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the curves and the choice as JSON.")
def tune(
    queries_file: Path,
    slo_ms: float,
    recall: float,
    top_k: int,
    catalog: Path | None,
    worker: str,
    out: Path | None,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure recall and latency over ef, over-fetch, nprobe and recall_target; choose settings.

    The index of a worker, or of a catalog, is built in this process. Recall is against the exact
    result. Times are of the index search alone, without fetching and embedding. Exit status 1: no
    setting meets both targets, and nothing is written.
    """
    from streams.tools.evaluation.queries import read_queries
    from streams.tools.tuning.curves import choose, chosen_settings

    settings = settings_from_options(None, None, config)
    queries = read_queries(queries_file)
    points, counts = asyncio.run(_measure(settings, queries, top_k, catalog, worker))
    chosen = choose(points, recall, slo_ms)
    found = {} if chosen is None else chosen_settings(chosen)
    if chosen is not None and out is not None:
        lines = [f"{name} = {value}" for name, value in found.items()]
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        click.echo(f"{out} written", err=True)
    if as_json:
        report = counts | {"points": [asdict(p) for p in points], "chosen": found or None}
        click.echo(json.dumps(report))
    else:
        _print(points, counts, chosen, found)
    if chosen is None:
        best = max((p for p in points if p.knob == "recall_target"), key=lambda p: p.recall.mean)
        click.echo(
            f"Error: no setting reaches a recall of {recall:g} within {slo_ms:g} ms (p95); the "
            f"best reaches {best.recall.mean:.3f} in {best.p95_ms.mean:.1f} ms [slo_not_met]",
            err=True,
        )
        sys.exit(NOT_MET)


async def _measure(
    settings: "Settings", queries: "Queries", top_k: int, catalog: Path | None, worker: str
) -> tuple[list["MeasuredSetting"], dict[str, int]]:
    from streams.cli.progress import progress_bar
    from streams.tools.evaluation.local_index import open_local_index
    from streams.tools.tuning.curves import measure
    from streams.tools.tuning.query_recorder import record_queries
    from visualsearch import load_encoder

    encoder = load_encoder(settings.encoder, settings.device, prompts=settings.prompts)
    with progress_bar(transient=True) as bar:
        async with open_local_index(encoder, settings) as local_index:
            task = bar.add_task("products", total=None)
            if catalog is not None:
                await local_index.load_catalog(
                    catalog, lambda n, of: bar.update(task, completed=n, total=of)
                )
            else:
                await asyncio.to_thread(
                    _copy,
                    local_index,
                    worker,
                    lambda n: bar.update(task, description=f"{n:,} products"),
                )
            task = bar.add_task("queries", total=len(queries.searches))
            recorded = await record_queries(local_index, queries, top_k, lambda: bar.advance(task))
            task = bar.add_task("measuring", total=None)
            points = await asyncio.to_thread(
                measure,
                local_index.engine,
                recorded,
                lambda what: bar.update(task, description=what),
            )
            stats = local_index.engine.stats()
            return points, {
                "products": stats.products,
                "vectors": stats.vectors,
                "queries": len(recorded),
            }


def _copy(local_index: "LocalIndex", worker: str, progress: "Callable[[int], None]") -> None:
    from streams.tools.tuning.served import served_records

    model, _, records = served_records(worker, progress)
    if model != local_index.engine.model:
        raise click.ClickException(
            f"{worker} holds vectors of {model}, and the settings' encoder is "
            f"{local_index.engine.model}: set VISUALSEARCH_ENCODER as for the worker "
            "[foreign_model]"
        )
    local_index.load_records(records)


def _print(
    points: "Sequence[MeasuredSetting]",
    counts: dict[str, int],
    chosen: "ChosenSettings | None",
    found: dict[str, float],
) -> None:
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    out.print(
        f"{counts['products']:,} products, {counts['vectors']:,} images, "
        f"{counts['queries']:,} queries; recall of the exact result, ms of one search",
        style="dim",
    )
    table = Table("parameter", box=None, header_style="dim")
    for name in ("value", "recall", "95 % interval", "p50 ms", "p95 ms"):
        table.add_column(name, justify="right")
    table.add_column("strategies")
    for point in points:
        strategies = ", ".join(f"{name} {count}" for name, count in point.strategies.items())
        table.add_row(
            point.knob, f"{point.setting:g}", f"{point.recall.mean:.4f}",
            f"{point.recall.low:.4f} to {point.recall.high:.4f}", f"{point.p50_ms.mean:.2f}",
            f"{point.p95_ms.mean:.2f}", strategies,
            style="bold" if chosen is not None and point is chosen.point else None,
        )  # fmt: skip
    out.print(table)
    for name, value in found.items():
        out.print(f"{name} = {value}", style="bold green")
