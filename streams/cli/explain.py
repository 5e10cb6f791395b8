"""`visualsearch explain PRODUCT_ID`: the state of a product in the pipeline."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from streams.cli.dlq import json_option, since_option
from streams.cli.options import connection_options, settings_from_options

UNKNOWN = 1
_WORKER = "http://127.0.0.1:8080"


@click.command()
@click.argument("product_id")
@connection_options
@since_option
@click.option("--all-partitions", is_flag=True,
              help="Read every partition, for producers that do not use murmur2.")  # fmt: skip
@click.option("--http", "worker", default=_WORKER, show_default=True,
              help="The worker whose index is queried.")  # fmt: skip
@click.option("--request", "request_file", type=click.File("rb"), metavar="FILE.json|-",
              help="Explain why the product is, or is not, a hit of this request.")  # fmt: skip
@json_option
def explain(
    product_id: str, bootstrap: str | None, prefix: str | None, config: Path | None, *,
    since: int | None, all_partitions: bool, worker: str, request_file: Any, as_json: bool,
) -> None:  # fmt: skip
    """Show whether a product is searchable, late, failed, deleted or unknown, and why.

    With --request: explain its rank in the result of a search request, by filter clause and by part
    of the query.

    Reads the product's partition of the product topics and of the index log, all dead letters,
    what the pipelines have committed, and the product's state in a worker's index. Nothing is
    changed. The JSON object holds `verdict` (`code`, `text`), `events`, `records`,
    `dead_letters`, `committed` and `worker`. Exit status 1: nothing is known of the product.
    """
    from streams.cli.progress import progress_bar
    from streams.tools.explain.gather import gather
    from streams.tools.explain.verdict import verdict

    settings = settings_from_options(bootstrap, prefix, config)
    if request_file is not None:
        from streams.cli.explain_request import explain_request

        explain_request(settings, product_id, request_file.read(), as_json=as_json)
        return
    with progress_bar(transient=True) as bar:
        task = bar.add_task("reading", total=None)
        found = gather(
            settings,
            product_id,
            worker=worker,
            since=since,
            every_partition=all_partitions,
            progress=lambda topic, done, of: bar.update(
                task, description=f"reading {topic}", completed=done, total=of
            ),
        )
    said = verdict(found)
    if as_json:
        click.echo(json.dumps({"verdict": asdict(said)} | found.as_dict()))
    else:
        from streams.tools.explain.tables import print_explained

        print_explained(found, said)
    if said.code == "unknown":
        sys.exit(UNKNOWN)
