"""`visualsearch worker`: a process that indexes events, answers searches, or both."""

from pathlib import Path

import click

from streams.cli.options import connection_options, log_to_stderr, settings_from_options

ROLES = ("ingest", "search")


def _roles(_: click.Context, __: click.Parameter, value: str) -> frozenset[str]:
    roles = frozenset(part.strip() for part in value.split(",") if part.strip())
    if not roles or roles - set(ROLES):
        raise click.BadParameter(f"give one or more of {', '.join(ROLES)}, separated by commas")
    return roles


@click.command()
@connection_options
@click.option(
    "--roles",
    default="ingest,search",
    show_default=True,
    callback=_roles,
    help="ingest: events to the index log. search: the live index and queries.",
)
@click.option(
    "--host", help="Address of the HTTP server. Default: as in the settings, else loopback."
)
@click.option("--port", type=int, help="Port of the HTTP server; 0 takes a free one.")
@click.option("--encoder", help="lite, or open_clip:ARCH/TAG.")
@click.option("--verbose", is_flag=True, help="Log the messages of the Kafka clients too.")
def worker(
    bootstrap: str | None,
    prefix: str | None,
    config: Path | None,
    roles: frozenset[str],
    host: str | None,
    port: int | None,
    encoder: str | None,
    *,
    verbose: bool,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C.

    It indexes product events and answers search requests. It waits for Kafka and for its topics
    (`visualsearch topics create`); /readyz and the log name what is missing. It is ready, on
    /readyz and for queries, once its index holds the whole log.
    """
    log_to_stderr(verbose=verbose)
    settings = settings_from_options(
        bootstrap, prefix, config, http_host=host, http_port=port, encoder=encoder
    )
    from streams.config.process import tune_process
    from visualsearch.extras import require_encoder

    require_encoder(settings.encoder)
    tune_process()
    from streams.worker.worker import run

    run(
        settings,
        roles,
        on_ready=lambda at: click.echo(
            f"visualsearch worker ready: http://{settings.http_host}:{at}/", err=True
        ),
    )
