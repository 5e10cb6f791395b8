"""What a person sees while something takes its time: on stderr, so that stdout stays data."""

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
    """Return a bar; `counted` shows how many of how many instead of a percentage.

    A `transient` one is gone when it is done.
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
