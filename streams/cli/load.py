"""`visualsearch load`: publish a catalog as product events."""

import json
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from streams.cli.options import connection_options, settings_from_options

if TYPE_CHECKING:
    from streams.config.settings import Settings
    from streams.tools.catalog.arrival import ArrivalWatch
    from streams.tools.catalog.publish import LoadResult
    from streams.tools.catalog.rows import Catalog, RejectedRow

REJECTED = 1
_SHOWN = 20


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@connection_options
@click.option("--type", "kind", type=click.Choice(["created", "updated"]), default="created",
              show_default=True, help="The event to publish for each product.")  # fmt: skip
@click.option("--wait", is_flag=True, help="Return when all products are searchable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def load(
    path: Path,
    bootstrap: str | None,
    prefix: str | None,
    config: Path | None,
    kind: Literal["created", "updated"],
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Publish the catalog at PATH, one product event per product.

    PATH is a folder of category folders (each image is a product, named after its file), a
    JSONL file (one product per line as events carry it; images by `path` relative to the file,
    `url` or `data`), or a CSV file (columns product_id, title, images, price, ...).

    Images are shrunk to at most 1,024 pixels and sent inside the events. An invalid row is
    reported with its line number and skipped; the exit status is then 1.
    """
    from streams.tools.catalog.readers import open_catalog

    settings = settings_from_options(bootstrap, prefix, config)
    from streams.worker.topic_check import require_topics

    require_topics(settings)  # fail now, not after minutes of waiting
    catalog = open_catalog(path)
    watch = _watch(settings) if wait else None
    try:
        done = _publish(settings, catalog, kind)
        summary = _summary(done, settings)
        if watch is not None:
            summary |= _wait(settings, watch, done)
    finally:
        if watch is not None:
            watch.close()
    if as_json:
        rejected = [asdict(row) for row in done.rejected]
        click.echo(json.dumps(summary | {"rejected_rows": rejected}))
    else:
        _print(summary, done.rejected)
    if done.rejected or summary.get("dead_lettered"):
        sys.exit(REJECTED)


def _publish(
    settings: "Settings", catalog: "Catalog", kind: Literal["created", "updated"]
) -> "LoadResult":
    from streams.cli.progress import progress_bar
    from streams.tools.catalog.publish import products_of, publish
    from visualsearch.client.producer import Producer

    with progress_bar() as bar, Producer(settings.kafka()) as producer:
        task = bar.add_task("publishing", total=catalog.total)

        def show(load: "LoadResult") -> None:
            text = f"publishing {len(load.published):,} products"
            bar.update(task, completed=load.position, description=text)

        done = publish(
            products_of(catalog),
            producer,
            settings.topics.product_events,
            run_id=f"load-{uuid.uuid4().hex[:12]}",
            now=lambda: datetime.now(UTC),
            kind=kind,
            progress=show,
        )
        bar.update(task, completed=catalog.total)
    return done


def _watch(settings: "Settings") -> "ArrivalWatch":
    from streams.tools.catalog.arrival import ArrivalWatch

    topics = settings.topics
    return ArrivalWatch(settings.kafka(), topics.index_log, topics.dead_letters)


def _wait(settings: "Settings", watch: "ArrivalWatch", done: "LoadResult") -> dict[str, Any]:
    """Wait until the products are searchable; return how many are, and how many failed."""
    from streams.cli.progress import progress_bar
    from streams.tools.catalog.arrival import ArrivalProgress
    from streams.tools.catalog.searchable import wait_for_watermark
    from visualsearch.client.search_client import SearchClient

    with progress_bar() as bar:
        total = len(done.published)
        task = bar.add_task("indexing", total=total)

        def show(state: ArrivalProgress) -> None:
            bar.update(task, completed=total - state.waiting)

        arrived = watch.wait(done.published, progress=show)
    failed = arrived.dead_lettered
    shown = [p for p in done.published if p.image_count and p.product_id not in failed]
    if shown:
        topics = settings.topics
        client = SearchClient(settings.kafka(), topics.search_requests, topics.search_results)
        try:
            wait_for_watermark(client, shown[-1].product_id, arrived.newest_ms)
        finally:
            client.close()
    return {"searchable": len(shown), "dead_lettered": len(failed)}


def _summary(done: "LoadResult", settings: "Settings") -> dict[str, Any]:
    return {
        "topic": settings.topics.product_events,
        "published": len(done.published),
        "pictures": done.image_count,
        "rejected": len(done.rejected),
    }


def _print(summary: dict[str, Any], rejected: "list[RejectedRow]") -> None:
    """Print the summary on stdout, the rejected rows on stderr."""
    for row in rejected[:_SHOWN]:
        click.echo(f"rejected {row.where}: {row.message} [{row.code}]", err=True)
    if len(rejected) > _SHOWN:
        click.echo(f"... and {len(rejected) - _SHOWN:,} more; --json lists them all", err=True)
    size = f"{summary['published']:,} products with {summary['pictures']:,} images"
    words = [f"{size} published to {summary['topic']}"]
    if "searchable" in summary:
        words.append(f"{summary['searchable']:,} searchable")
    if summary.get("dead_lettered"):
        words.append(f"{summary['dead_lettered']:,} dead-lettered")
    if rejected:
        words.append(f"{len(rejected):,} rows rejected")
    click.echo("; ".join(words))
