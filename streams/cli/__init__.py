"""The command line: each command is imported when it is called, so that `--help` is instant."""

import contextlib
import faulthandler
from importlib import import_module
from typing import Any

import click

from visualsearch import __version__

COMMANDS = {
    "demo": "Broker, worker, a catalog and searches, in one command.",
    "broker": "Start, stop or look at a local Apache Kafka.",
    "topics": "Create or describe the topics.",
    "worker": "Run a worker: index product events, answer search requests.",
    "load": "Publish a catalog as product-created events.",
    "search": "Search through the topics, by words, by image or by both.",
    "explain": "Show the state of a product in the pipeline, and why it is not found.",
    "snapshot": "Take, list, verify or fetch snapshots of the index.",
    "dlq": "List, show or replay dead letters.",
    "fsck": "Check the index against the product topics.",
    "evaluate": "Measure search quality on your own catalog and queries.",
    "attributes": "Guess attributes from images; learn them from your own labels.",
    "tune": "Measure recall and latency on your own data; choose settings for a target.",
    "bench": "Benchmark the index on this machine against bare HNSW libraries.",
    "schemas": "Print the JSON Schemas and the AsyncAPI document of all messages.",
    "config": "Show the effective settings.",
}

# These run a model: if a library is missing, the error names everything that a model needs.
WITH_MODEL = {"demo", "worker", "fsck", "evaluate", "attributes", "tune"}


class LazyGroup(click.Group):
    """Commands by name in `streams.cli.<name>`, their help known without importing them."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"streams.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that a user can cause is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as failure:
            error = _name_missing_extra(failure, ctx.invoked_subcommand)
            if code := getattr(error, "code", None):
                raise click.ClickException(f"{error} [{code}]") from failure
            if isinstance(error, ConnectionError | TimeoutError):
                raise click.ClickException(str(error)) from failure
            raise


def _name_missing_extra(error: Exception, command: str | None) -> Exception:
    """Turn an ImportError into one that names the missing extra; return any other unchanged."""
    if not isinstance(error, ImportError):
        return error
    from visualsearch.extras import ALL, missing_library

    return missing_library(error, needed=ALL if command in WITH_MODEL else ()) or error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Find products by image and by words, moments after their events were published."""
    with contextlib.suppress(OSError, ValueError):  # no real stderr: nothing to write to
        faulthandler.enable()  # a crash in native code then prints a traceback
