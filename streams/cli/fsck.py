"""`visualsearch fsck`: check a worker's index against the product topics."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli.options import FiniteRange, connection_options, settings_from_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from streams.config.settings import Settings
    from streams.tools.fsck.check import Options, ReportProgress
    from streams.tools.fsck.report import Report

NOT_CHECKED = 2


@click.command()
@connection_options
@click.option("--http", "url", default="http://127.0.0.1:8080", show_default=True,
              help="The worker to check; it needs the role `search`.")  # fmt: skip
@click.option("--sample", type=click.IntRange(0), default=50, show_default=True, metavar="N",
              help="Embed the images of N products again and compare their vectors.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Embed the images of every product again.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random sample.")
@click.option("--wait", "wait_s", type=FiniteRange(0), default=30.0, show_default=True,
              metavar="SECONDS", help="How long to wait for a late worker.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fsck(
    bootstrap: str | None,
    prefix: str | None,
    config: Path | None,
    url: str,
    sample: int,
    seed: int,
    wait_s: float,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Check the index of a worker against the product topics.

    All product events are read and folded by independent code. The products, orders, attributes and
    images of the worker must be equal. A sample of vectors is compared with fresh embeddings.
    Unreadable messages must be dead letters.

    Exit status: 0 clean, 1 differences, 2 the worker is late or nothing could be checked.
    """
    try:
        settings = settings_from_options(bootstrap, prefix, config)
    except click.ClickException as error:
        error.exit_code = NOT_CHECKED
        raise
    from streams.tools.fsck.check import Options

    options = Options(None if every else sample, seed, wait_s)
    try:
        report = _run(settings, url, options)
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None and not isinstance(error, OSError):
            raise
        click.echo(f"Error: {error} [{code or 'unreachable'}]", err=True)
        sys.exit(NOT_CHECKED)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report.as_dict()))
    else:
        _print(report)
    sys.exit(report.status)


def _run(settings: "Settings", url: str, options: "Options") -> "Report":
    from streams.cli.progress import progress_bar
    from streams.tools.fsck.check import Check
    from streams.tools.fsck.worker import WorkerClient

    def load_encoder() -> Any:
        import visualsearch
        from streams.config.process import tune_process

        tune_process()
        return visualsearch.load_encoder(settings.encoder, device=settings.device)

    with progress_bar() as bar:
        return Check(settings, WorkerClient(url), load_encoder, options, _Display(bar)).run()


class _Display:
    """Progress bars, one below the other."""

    def __init__(self, bar: "Progress") -> None:
        self._bar = bar
        self._finish: Callable[[], None] = lambda: None

    def step(self, name: str, total: int | None) -> "ReportProgress":
        """Begin a step; the one before it is over."""
        self._finish()
        task = self._bar.add_task(name, total=total)
        self._finish = lambda: self._bar.update(task, total=total or 1, completed=total or 1)
        return lambda done: self._bar.update(task, completed=done)


def _print(report: "Report") -> None:
    """Print a line per category, the examples and a verdict."""
    from rich.console import Console
    from rich.table import Table

    from streams.tools.fsck.report import CATEGORIES, EXAMPLES, MEANING

    console = Console(highlight=False)
    table = Table(box=None, header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("found", justify="right")
    table.add_column("meaning", style="dim")
    for name, count in report.counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}", MEANING[name])
    console.print(table)
    for name in CATEGORIES:
        for finding in report.findings[name][:EXAMPLES]:
            parts = (finding.product_id, finding.detail, finding.source and f"({finding.source})")
            text = " ".join(part for part in parts if part)
            console.print(f"{name.replace('_', ' ')}: {text}", markup=False, soft_wrap=True)
    for note in report.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(
        f"{report.verdict}: {report.events:,} events say {report.expected:,} searchable products, "
        f"{report.worker} serves {report.served:,}; {report.images_compared:,} vectors compared",
        soft_wrap=True,
    )
