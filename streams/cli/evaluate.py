"""`visualsearch evaluate`: search quality on the user's own catalog and queries."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.options import settings_from_options

if TYPE_CHECKING:
    from streams.config.settings import Settings
    from streams.tools.evaluation.configuration import Configuration
    from streams.tools.evaluation.judge import EvaluationRun
    from streams.tools.evaluation.queries import Queries

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
KS = (1, 5, 10)


def _ks(_: click.Context, __: click.Parameter, given: str | None) -> tuple[int, ...]:
    if given is None:
        return KS
    try:
        found = tuple(sorted({int(part) for part in given.split(",")}))
    except ValueError:
        raise click.BadParameter("give numbers separated by commas, such as 1,5,10") from None
    if not all(1 <= k <= 1000 for k in found):
        raise click.BadParameter("each must be between 1 and 1000")
    return found


@click.command()
@click.option("--catalog", required=True, metavar="FILE|FOLDER",
              type=click.Path(exists=True, path_type=Path),
              help="A catalog, as `visualsearch load` reads it.")  # fmt: skip
@click.option("--queries", "queries_file", type=FILE, required=True, metavar="FILE.jsonl",
              help="Searches with relevant products, or preferences, one a line.")  # fmt: skip
@click.option("--encoder", help="lite, or open_clip:ARCH/TAG. Default: as in the settings.")
@click.option("--against", metavar="ENCODER|FILE.json",
              help="Compare with this encoder or configuration.")  # fmt: skip
@click.option("--k", "ks", callback=_ks, metavar="1,5,10", help="Cutoffs of the ranking metrics.")
@click.option("--config", type=FILE, help="Settings as TOML or JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="REPORT",
              help="Write a page with the figures and images of the worst queries.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    catalog: Path,
    queries_file: Path,
    encoder: str | None,
    against: str | None,
    ks: tuple[int, ...],
    config: Path | None,
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure search quality with your own queries on your own catalog. Needs no Kafka.

    A search: {"image": "photo.jpg", "text": "in navy", "relevant": ["p1"]}. It may have any field
    of a search request ("filters", "top_k", …), grades as {"p1": 3, "p2": 1}, and
    "groups": ["phone"], which get figures of their own. A preference: {"anchor": {"image":
    "a.jpg"}, "closer": {"product": "p1"}, "than": [{"product": "p2"}]}. Paths are relative to the
    file.

    Every figure has a 95 % bootstrap interval; --against adds a paired permutation test.
    A configuration file has any of name, encoder, prompts, device, recall_target and request.
    Fields of `request` override those of a query.
    """
    from streams.tools.evaluation.configuration import Configuration, read_configuration
    from streams.tools.evaluation.figures import report
    from streams.tools.evaluation.queries import read_queries

    settings = settings_from_options(None, None, config, encoder=encoder)
    queries = read_queries(queries_file)  # before anything that takes long
    first = Configuration(
        settings.encoder, settings.encoder, settings.prompts, settings.device,
        settings.recall_target,
    )  # fmt: skip
    configurations = [first, *([read_configuration(against, first)] if against else [])]
    runs, text = asyncio.run(
        _measure(settings, configurations, catalog, queries, ks, page=bool(html))
    )
    _warn(runs[0])
    if html is not None and text is not None:
        html.write_text(text, encoding="utf-8")
        click.echo(f"{html} written", err=True)
    if as_json:
        click.echo(json.dumps(report(runs, ks), ensure_ascii=False))
    else:
        from streams.tools.evaluation.tables import print_runs

        print_runs(runs)


async def _measure(
    settings: "Settings",
    configurations: Sequence["Configuration"],
    catalog: Path,
    queries: "Queries",
    ks: Sequence[int],
    *,
    page: bool,
) -> tuple[list["EvaluationRun"], str | None]:
    """Return a run of each configuration, and the page if it is wanted."""
    from contextlib import AsyncExitStack

    from streams.cli.progress import progress_bar
    from streams.tools.evaluation.judge import run
    from streams.tools.evaluation.local_index import LocalIndex, open_local_index
    from streams.tools.evaluation.page import page as page_of
    from visualsearch import load_encoder

    indexes: dict[tuple[object, ...], LocalIndex] = {}
    runs: list[EvaluationRun] = []
    async with AsyncExitStack() as stack:
        bar = stack.enter_context(progress_bar(transient=True))
        for configuration in configurations:
            if (local_index := indexes.get(configuration.index_key)) is None:
                task = bar.add_task(f"{configuration.encoder}: catalog", total=None)
                encoder = load_encoder(
                    configuration.encoder, configuration.device, prompts=configuration.prompts
                )
                target = {"recall_target": configuration.recall_target}
                local_index = await stack.enter_async_context(
                    open_local_index(encoder, settings.model_copy(update=target))
                )
                await local_index.load_catalog(
                    catalog,
                    lambda done, of, task=task: bar.update(task, completed=done, total=of),  # type: ignore[misc]
                )
                _print_rejected(local_index)
                indexes[configuration.index_key] = local_index
            task = bar.add_task(f"{configuration.name}: queries", total=len(queries))
            runs.append(
                await run(
                    local_index,
                    queries,
                    configuration.name,
                    ks=ks,
                    overrides=configuration.request,
                    progress=lambda task=task: bar.advance(task),  # type: ignore[misc]
                )
            )
        each = [indexes[configuration.index_key] for configuration in configurations]
        return runs, await page_of(runs, each, ks, queries.folder) if page else None


def _print_rejected(local_index: object) -> None:
    rejected = getattr(local_index, "rejected", [])
    for one in rejected[:5]:
        click.echo(f"left out: {one.where}: {one.message} [{one.code}]", err=True)
    if len(rejected) > 5:
        click.echo(f"left out: {len(rejected) - 5:,} more", err=True)


def _warn(run: "EvaluationRun") -> None:
    from streams.tools.evaluation.queries import join_lines

    if run.unknown:
        click.echo(
            f"note: relevant products that are not in the catalog, counted as never found, on "
            f"line {join_lines(run.unknown)}",
            err=True,
        )
