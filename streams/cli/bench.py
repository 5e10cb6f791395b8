"""`visualsearch bench index` and `bench recovery`: measurements on this machine."""

from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from streams.tools.bench.amounts import DEFAULT_ROWS, NAMES, RECOVERY, RIVALS, Amounts, rows_of

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def bench() -> None:
    """Benchmark the index on this machine."""


def _rows(_: click.Context, __: click.Parameter, size: str | None) -> int | None:
    try:
        return None if size is None else rows_of(size)
    except ValueError:
        raise click.BadParameter("give 50k, 200k, 1m or a number of rows") from None


vectors_option = click.option(
    "--vectors", type=FILE, metavar="FILE.npy",
    help="Your own vectors, of shape (n, d). Default: generated clusters.",
)  # fmt: skip
queries_option = click.option(
    "--queries", type=FILE, metavar="FILE.npy",
    help="Queries for these vectors, of shape (q, d). Default: generated from them.",
)  # fmt: skip
size_option = click.option(
    "--size", "rows", callback=_rows, metavar="50k|200k|1m",
    help="Number of rows. Default: 200k, or all rows of --vectors.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@bench.command()
@vectors_option
@queries_option
@click.option("--filters", type=FILE, metavar="FILE.json",
              help='More filters, as {"name": [row, …]}.')  # fmt: skip
@size_option
@click.option("--only", multiple=True, metavar="NAME", type=click.Choice(NAMES),
              help=f"Run this measurement only (repeatable): {', '.join(NAMES)}.")  # fmt: skip
@click.option("--beside", multiple=True, metavar="NAME", type=click.Choice(RIVALS),
              help=f"Compare with this index only (repeatable): {', '.join(RIVALS)}.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Store finished measurements here; a later run resumes from them.")  # fmt: skip
@json_option
def index(
    vectors: Path | None,
    queries: Path | None,
    filters: Path | None,
    rows: int | None,
    only: tuple[str, ...],
    beside: tuple[str, ...],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Compare the live index with bare hnswlib, FAISS and usearch.

    Both sides are measured in alternating rounds, at equal recall. Our times include all that a
    product search needs. Each figure is printed with its target. 200k rows take about 20 minutes
    on two idle cores.
    """
    _run(vectors, queries, filters, rows, only or NAMES, out, beside=beside, as_json=as_json)


@bench.command()
@vectors_option
@queries_option
@size_option
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Store the result here; a later run prints it.")  # fmt: skip
@json_option
def recovery(
    vectors: Path | None,
    queries: Path | None,
    rows: int | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure searches while a snapshot is written, and a restart from it.

    Building the index takes longest: about 2 minutes at 200k rows, 10 at a million.
    """
    _run(vectors, queries, None, rows, (RECOVERY,), out, as_json=as_json)


def _run(
    vectors: Path | None,
    queries: Path | None,
    filters: Path | None,
    rows: int | None,
    only: tuple[str, ...],
    out: Path | None,
    *,
    beside: tuple[str, ...] = (),
    as_json: bool,
) -> None:
    from streams.tools.bench.run import prepare

    prepare()
    from streams.cli.progress import stderr_console

    console = stderr_console()
    if only != (RECOVERY,):
        for line in _missing():
            console.print(f"note: {line}", style="yellow", markup=False, soft_wrap=True)
    report = _report(vectors, queries, filters, rows, only, beside, out)
    if as_json:
        import json

        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        from streams.tools.bench.tables import print_report

        print_report(report)


def _missing() -> list[str]:
    from streams.tools.bench.rivals import missing_rivals

    return list(missing_rivals().values())


def _report(
    vectors: Path | None,
    queries: Path | None,
    filters: Path | None,
    rows: int | None,
    only: tuple[str, ...],
    beside: tuple[str, ...],
    out: Path | None,
) -> dict[str, Any]:
    """Run the measurements under a progress bar."""
    from streams.cli.progress import progress_bar
    from streams.tools.bench.context import Bench
    from streams.tools.bench.data import load_dataset
    from streams.tools.bench.run import measure, settings
    from streams.tools.bench.store import Store

    begin = perf_counter()
    with progress_bar(counted=True) as bar:
        task = bar.add_task("vectors", total=len(only))
        planned = rows or DEFAULT_ROWS
        data = load_dataset(vectors, queries, filters, rows, Amounts.of(planned).queries)

        def tell(what: str) -> None:
            bar.update(task, description=what)
            if not bar.console.is_terminal:  # no bar is visible: print a line
                bar.console.print(f"{perf_counter() - begin:6.0f} s  {what}", soft_wrap=True)

        session = Bench(
            data,
            Amounts.of(len(data.vectors)),
            report=tell,
            beside=beside,
        )
        store = Store(out, session.size, data.checksum, settings(session))
        done = count()
        report = measure(
            session,
            only,
            store,
            lambda name: bar.update(task, description=name, completed=next(done)),
        )
        bar.update(task, description="done", completed=len(only))
    return report
