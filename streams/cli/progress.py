"""Progress bars, on stderr: stdout is for data."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


def stderr_console() -> Console:
    """Return a console on standard error."""
    return Console(stderr=True, highlight=False)


def progress_bar(
    console: Console | None = None, *, counted: bool = False, transient: bool = False
) -> Progress:
    """Return a progress bar; a `transient` one is erased at its end.

    `counted` shows done/total instead of a percentage.
    """
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if counted else TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console or stderr_console(),
        transient=transient,
    )
