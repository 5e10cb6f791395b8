"""Options that several commands share."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from streams.config.settings import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])


def connection_options(command: F) -> F:
    """Add --bootstrap, --prefix and --config."""
    for option in (
        click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     help="Settings as TOML or JSON."),
        click.option("--prefix", help="Prefix of the topics' names."),
        click.option("--bootstrap", help="Kafka bootstrap servers, host:port,…"),
    ):  # fmt: skip
        command = option(command)
    return command


def settings_from_options(
    bootstrap: str | None, prefix: str | None, config: Path | None, **more: Any
) -> Settings:
    """Return the settings. Raises ClickException, which names the invalid ones."""
    try:
        return load_settings(config, bootstrap=bootstrap, topic_prefix=prefix, **more)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise click.ClickException("settings: " + "; ".join(lines)) from None
    except ValueError as error:
        raise click.ClickException(f"settings: {error}") from None


class FiniteRange(click.FloatRange):
    """A finite number within a range: FloatRange alone accepts `nan`."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail with what was given."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def log_to_stderr(*, verbose: bool) -> None:
    """Log to stderr; what libraries log below WARNING only if `verbose`."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if not verbose:
        for name in ("faust", "mode", "aiokafka", "asyncio", "torch", "faiss"):
            logging.getLogger(name).setLevel(logging.WARNING)
