"""`visualsearch snapshot create|list|verify|restore`: snapshots of the index."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli.options import connection_options, settings_from_options

if TYPE_CHECKING:
    from streams.config.settings import Settings

NOT_FOUND = 1
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def snapshot() -> None:
    """Take, list, check or fetch snapshots of the index.

    A worker takes snapshots by itself and starts from the newest compatible one. They are in
    VISUALSEARCH_SNAPSHOT_FOLDER and, if it is set, in VISUALSEARCH_SNAPSHOT_STORE.
    """


@snapshot.command()
@click.option("--http", "url", default="http://127.0.0.1:8080", show_default=True,
              help="The worker to ask; it needs the role `search`.")  # fmt: skip
@json_option
def create(url: str, *, as_json: bool) -> None:
    """Have a running worker take a snapshot now, and wait for it."""
    from streams.cli.progress import progress_bar
    from streams.snapshots.request import request_snapshot

    with progress_bar(transient=True) as bar:
        task = bar.add_task("waiting", total=None)
        taken = request_snapshot(
            url,
            lambda step, done, total: bar.update(
                task, description=step, completed=done, total=total
            ),
        )
    if as_json:
        click.echo(json.dumps(taken))
        return
    click.echo(
        f"{taken['path']}: {taken['products']:,} products, {taken['vectors']:,} vectors, "
        f"{taken['bytes']:,} bytes, {taken['seconds']:.1f} s"
    )


@snapshot.command("list")
@connection_options
@json_option
def list_(bootstrap: str | None, prefix: str | None, config: Path | None, *, as_json: bool) -> None:
    """List the snapshots of this host and of the store, the newest first.

    Unreadable snapshots are listed with the reason. Only manifests are read.
    """
    from streams.snapshots.inventory import in_folder, in_store

    settings = settings_from_options(bootstrap, prefix, config)
    rows = in_folder(settings.snapshots)
    if (url := settings.snapshots_url) is not None:
        rows += in_store(url)
    if as_json:
        where = {"folder": str(settings.snapshots), "store": url}
        click.echo(json.dumps(where | {"snapshots": [row.as_dict() for row in rows]}))
        return
    from streams.cli.snapshot_tables import print_snapshots

    print_snapshots(rows, str(settings.snapshots), url)


@snapshot.command()
@click.argument("path", required=False,
                type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
@connection_options
@click.option("--queries", type=click.IntRange(0), default=50, show_default=True, metavar="N",
              help="Number of test searches; half a second each at a million images.")  # fmt: skip
@json_option
def verify(
    path: Path | None, bootstrap: str | None, prefix: str | None, config: Path | None, *,
    queries: int, as_json: bool,
) -> None:  # fmt: skip
    """Check a snapshot's files, and its recall against an exact search.

    Without a PATH, the newest of this host.
    Exit status 1: a file is damaged, or the snapshot cannot be read.
    """
    from streams.cli.progress import progress_bar
    from streams.config.process import tune_process

    path = path or _newest(settings_from_options(bootstrap, prefix, config))
    tune_process()
    from streams.indexer.active_engine import active_engine
    from visualsearch.snapshot.verify import verify as check

    with progress_bar(transient=True) as bar:
        task = bar.add_task("verifying", total=None)
        report = check(
            path,
            queries=queries,
            progress=lambda step, done, total: bar.update(
                task, description=step, completed=done, total=total
            ),
        )
    manifest = report.manifest
    summary = {
        "path": str(path),
        "index": manifest.index,
        "model": manifest.model,
        "products": manifest.products,
        "vectors": manifest.rows,
        "bytes": manifest.bytes,
        "served_by": active_engine(report.strategy),
        "queries": report.queries,
        "recall": {str(k): round(share, 4) for k, share in report.recall.items()},
        "search_ms": round(report.milliseconds, 3),
        "restore_seconds": {step: round(s, 3) for step, s in report.seconds.items()},
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    from streams.cli.snapshot_tables import print_verified

    print_verified(summary)


@snapshot.command()
@click.argument("name", required=False)
@connection_options
@json_option
def restore(
    name: str | None, bootstrap: str | None, prefix: str | None, config: Path | None, *,
    as_json: bool,
) -> None:  # fmt: skip
    """Copy a snapshot from the store to this host, and check that it can be restored.

    Without a NAME, the newest usable one. A worker that starts on this host restores it, if its
    index log and its model match. Exit status 1: there is none.
    """
    from streams.cli.progress import progress_bar
    from streams.config.process import tune_process
    from streams.snapshots.download import download_snapshot

    tune_process()
    settings = settings_from_options(bootstrap, prefix, config)
    with progress_bar(transient=True) as bar:
        task = bar.add_task("copying", total=None)
        found = download_snapshot(
            _store(settings),
            settings.snapshots,
            name,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        from streams.cli.snapshot_tables import print_fetched

        print_fetched(found)
    if found.path is None:
        sys.exit(NOT_FOUND)


def _newest(settings: "Settings") -> Path:
    """Return the newest local snapshot. Raises click.ClickException if there is none."""
    from visualsearch.snapshot.folder import list_snapshots

    found = list_snapshots(settings.snapshots)
    if not found:
        raise click.ClickException(f"no snapshot in {settings.snapshots}")
    return found[0]


def _store(settings: "Settings") -> Any:
    """Return the store. Raises click.ClickException if none is set."""
    from streams.snapshots.store import SnapshotStore

    if (url := settings.snapshots_url) is None:
        raise click.ClickException("no store: set VISUALSEARCH_SNAPSHOT_STORE, as s3://bucket/path")
    return SnapshotStore(url)
