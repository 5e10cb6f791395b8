"""Tables of an evaluation's metrics."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from streams.tools.evaluation.figures import ALL, compared, figures, latency, shown_share
from streams.tools.evaluation.judge import EvaluationRun
from streams.tools.evaluation.page import interval

_WIDE = 140  # columns of a file or a pipe
_SIGNIFICANT = 0.05


def print_runs(runs: Sequence[EvaluationRun], console: Console | None = None) -> None:
    """Print each configuration's figures, then how the two differ."""
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    for run in runs:
        console.print(
            f"{run.name}: {run.model}, {run.products:,} products, {run.image_count:,} images, "
            f"{len(run.judged):,} searches, {len(run.preferred):,} preferences",
            style="bold", markup=False, soft_wrap=True,
        )  # fmt: skip
        console.print(_figures(run))
    if len(runs) == 2:
        console.print(f"{runs[0].name} minus {runs[1].name}", style="bold", markup=False)
        console.print(_differences(*runs))


def _figures(run: EvaluationRun) -> Table:
    table = _table("", "", "mean", "95 % interval", "queries")
    for group, metrics in figures(run).items():
        for name, one in metrics.items():
            shown = "" if group == ALL else group
            span = f"{one.low:.3f} to {one.high:.3f}"
            table.add_row(shown, name, f"{one.mean:.3f}", span, f"{one.queries:,}")
    if (share := shown_share(run)) is not None:
        span = f"{share.low:.3f} to {share.high:.3f}"
        table.add_row("", "coverage", f"{share.mean:.3f}", span, f"{share.queries:,}")
    for stage, quantiles in latency(run).items():
        for name, one in quantiles.items():
            span = interval(one, 1).partition(" ")[2].strip("()")
            table.add_row("", f"{stage} ms {name}", f"{one.mean:.1f}", span, f"{one.queries:,}")
    return table


def _differences(one: EvaluationRun, other: EvaluationRun) -> Table:
    table = _table("", "", "difference", "95 % interval", "p (Holm)", "better", "worse", "same")
    for group, changes in compared(one, other).items():
        for name, change in changes.items():
            table.add_row(
                "" if group == ALL else group, name, f"{change.mean:+.3f}",
                f"{change.low:+.3f} to {change.high:+.3f}", f"{change.p:.3f}",
                f"{change.better:,}", f"{change.worse:,}", f"{change.same:,}",
                style="bold" if change.p < _SIGNIFICANT else None,
            )  # fmt: skip
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="dim")
    for place, name in enumerate(names):
        table.add_column(name, justify="left" if place < 2 else "right")
    return table
