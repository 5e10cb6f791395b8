"""`visualsearch demo`: broker, worker, a catalog and searches in one command."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from streams.config.settings import Settings
    from streams.tools.demo.dataset import DemoDataset
    from streams.tools.demo.figures import Figures

_DEFAULT_PORT = 8080
_DEFAULT_PRODUCTS = 640


@click.command()
@click.option("--once", is_flag=True, help="Stop everything when it is done.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@click.option("--catalog", type=click.Path(exists=True, path_type=Path), metavar="FILE|FOLDER",
              help="Use this catalog (as `load` reads it) instead of a drawn one.")  # fmt: skip
@click.option("--products", type=click.IntRange(20, 100_000), default=_DEFAULT_PRODUCTS,
              show_default=True, help="How many products to draw.")  # fmt: skip
@click.option("--events", type=click.IntRange(8, 100_000), default=200, show_default=True,
              help="How many single events to publish, at 5 a second.")  # fmt: skip
@click.option("--searches", type=click.IntRange(3, 100_000), default=200, show_default=True,
              help="How many searches to time, one after the other.")  # fmt: skip
@click.option("--chaos", is_flag=True,
              help="Kill the worker (kill -9) during the load and restart it. Report how long a "
              "search waited, and run fsck: exit status 1 if not clean.")  # fmt: skip
@click.option("--encoder", help="lite, or open_clip:ARCH/TAG.")
@click.option("--bootstrap", envvar="VISUALSEARCH_BOOTSTRAP",
              help="Use this broker (host:port) instead of starting one.")  # fmt: skip
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path),
              default=Path(".visualsearch"), show_default=True,
              help="Folder of the broker's data, the worker's log and the page.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535),
              help="Port of the worker's page. Default: 8080 if free, else any free.")  # fmt: skip
def demo(
    *,
    once: bool,
    as_json: bool,
    catalog: Path | None,
    products: int,
    events: int,
    searches: int,
    chaos: bool,
    encoder: str | None,
    bootstrap: str | None,
    data_dir: Path,
    port: int | None,
) -> None:
    """Start a broker and a worker, index a catalog, search it, and print the figures.

    The catalog is drawn (garments, shoes, bags, furniture, tableware), or yours with --catalog.
    It is searched by words, by photo and by both. Then single events are published, and the time
    until a search shows each is measured. A page with the images of queries and hits is written.
    Unless --once is given, the worker and its search page stay up until Ctrl-C.
    """
    from streams.cli.options import settings_from_options
    from streams.cli.progress import stderr_console
    from streams.tools.demo.run import DemoPlan, demonstration
    from visualsearch.extras import require_encoder

    require_encoder(settings_from_options(None, None, None, encoder=encoder).encoder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped
    settings_for = _settings_for(encoder)
    console = stderr_console()
    plan = DemoPlan(data_dir, _port(port, once=once), events, searches, chaos=chaos)
    reporter = _TerminalReporter(console)
    dataset = _dataset(catalog, products)
    with reporter, demonstration(settings_for, bootstrap, dataset, plan, reporter) as shown:
        reporter.stop()
        if as_json and not once:
            _print_json(shown.figures)
        elif not as_json:
            _print_table(shown.figures)
        if not once:
            console.print(f"\nSearch at [bold]{shown.url}/[/] until Ctrl-C")
            try:
                signal.pause()
            except KeyboardInterrupt:
                console.print("")
    if as_json and once:
        _print_json(shown.figures)
    if (after := shown.figures.chaos) is not None and after.fsck["verdict"] != "clean":
        sys.exit(1)


def _settings_for(encoder: str | None) -> "Callable[[str, str, Path], Settings]":
    def make(bootstrap: str, prefix: str, data_dir: Path) -> "Settings":
        from streams.cli.options import settings_from_options

        return settings_from_options(bootstrap, prefix, None, data_dir=data_dir, encoder=encoder)

    return make


def _port(port: int | None, *, once: bool) -> int:
    from streams.tools.broker.ports import is_free

    if port is not None:
        return port
    return 0 if once or not is_free(_DEFAULT_PORT) else _DEFAULT_PORT


def _dataset(catalog: Path | None, products: int) -> "DemoDataset":
    if catalog is None:
        from streams.tools.demo.drawn import DrawnDataset

        return DrawnDataset(products)
    from streams.tools.catalog.readers import open_catalog
    from streams.tools.demo.catalog_dataset import CatalogDataset

    return CatalogDataset(open_catalog(catalog))


class _TerminalReporter:
    """Reports the steps on stderr: a line each, and a progress bar for long ones."""

    def __init__(self, console: "Console") -> None:
        from streams.cli.progress import progress_bar

        self._console = console
        self._bars: Progress = progress_bar(console)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(f"· {text}", markup=False)

    def bar(self, text: str, total: int) -> Callable[[int], None]:
        """Add a bar."""
        task = self._bars.add_task(text, total=total)
        return lambda done: self._bars.update(task, completed=done)


def _print_json(figures: "Figures") -> None:
    from streams.tools.demo.figures import flat

    click.echo(json.dumps(flat(figures)))


def _print_table(figures: "Figures") -> None:
    from rich.console import Console
    from rich.table import Table

    from streams.tools.demo.page import facts

    table = Table(box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in (facts(figures) | {"total": f"{figures.total_s:.0f} s"}).items():
        table.add_row(name, value)
    Console().print(table)
