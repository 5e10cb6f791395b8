"""What is left when all is quiet: fsck's word, and what it does not look at."""

import itertools
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from typing import Any

from streams.images.blobs import SCHEME
from streams.indexer.records import to_engine_record
from streams.kafka.messages import MESSAGE_UNREADABLE
from streams.tools.fsck.failures import Failure, failures
from streams.tools.fsck.history import decode, order_of
from streams.tools.fsck.lateness import (
    PIPELINES,
    wait_for_index,
    wait_for_pipelines,
    wait_for_retries,
)
from streams.tools.fsck.values import Message, MessagePosition, format_position
from streams.tools.fsck.worker import WorkerClient
from streams.web.products import ProductsQuery, product_lines
from tests.support.fakes import FakeEncoder
from tests.support.fault.fleet import ROOT, Life, until
from tests.support.fault.hosts import never_a_picture
from tests.support.fault.stage import Stage, environ_of
from visualsearch.contracts.events import ProductOfferUpdated
from visualsearch.contracts.records import decode_record
from visualsearch.engine import Engine

PATIENCE_S = 300.0
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Products = dict[str, Any]
"""What a worker serves, by product id, vectors included."""


def settle(stage: Stage, workers: Iterable[Life]) -> None:
    """Wait until all events are worked on, all records applied, all keys healed. StuckError."""
    workers = list(workers)
    settings = stage.settings
    bounds = stage.cluster.bounds(settings.topics.product_topics())
    groups = {pipeline: settings.group(pipeline) for pipeline in PIPELINES}
    late = wait_for_pipelines(stage.cluster, groups, bounds, time.monotonic() + PATIENCE_S)
    assert not late.findings, late.findings
    late = wait_for_retries(
        stage.cluster,
        settings.group("retry"),
        settings.topics.product_retry,
        time.monotonic() + PATIENCE_S,
    )
    assert not late.findings, late.findings
    until(lambda: _quiet(stage, workers), "every key of the log is healed", PATIENCE_S)


def _quiet(stage: Stage, workers: list[Life]) -> bool:
    """Return whether nothing of the log is left to apply or to heal, and nothing was appended."""
    log = stage.settings.topics.index_log
    end = stage.cluster.bounds([log])
    for life in workers:
        give_up_at = time.monotonic() + PATIENCE_S
        late = wait_for_index(stage.cluster, WorkerClient(life.url), log, give_up_at)
        assert not late.findings, (str(life), late.findings)
    dirty = sum(_metric(life, "visualsearch_log_dirty_keys") for life in workers)
    return dirty == 0 and stage.cluster.bounds([log]) == end


def _metric(life: Life, name: str) -> float:
    with _HTTP.open(f"{life.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def fsck(stage: Stage, life: Life) -> dict[str, Any]:
    """Run `visualsearch fsck --all --json` against a worker and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fault.process", "fsck",
         "--http", life.url, "--all", "--wait", str(PATIENCE_S), "--json"],
        cwd=ROOT, env=stage.fleet.environ | environ_of(stage.settings),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, f"fsck ended with {done.returncode}: {done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"status": done.returncode}


def served(life: Life) -> Products:
    """Return all that a worker serves."""
    with _HTTP.open(f"{life.url}/v1/products?vectors=1", timeout=120) as answer:
        return _by_id(answer.read())


def _by_id(lines: bytes) -> Products:
    rows = [json.loads(line) for line in lines.splitlines()]
    assert rows[-1]["end"]["products"] == len(rows) - 2, "the answer was cut off"
    return {row["product_id"]: row for row in rows[1:-1]}


def unstored(stage: Stage, products: Products) -> list[str]:
    """Return the products with an inline image that is searchable and not in the blob store."""
    found = {path.name for path in stage.images.glob("*/*")}
    return sorted(
        name
        for name, row in products.items()
        for image in row["images"]
        if image["url"].startswith(SCHEME) and image["url"].removeprefix(SCHEME) not in found
    )


def compacted(stage: Stage) -> Products:
    """Return what an empty engine serves of the last record of each key: a replay, compacted."""
    last: dict[bytes | None, Message] = {}
    for message in stage.cluster.read(stage.cluster.bounds([stage.settings.topics.index_log])):
        last[message.key] = message
    engine = Engine(FakeEncoder.model_id, FakeEncoder.dim)
    for message in last.values():
        assert message.key is not None
        assert message.value is not None
        engine.apply([to_engine_record(*decode_record(message.key, message.value))])
    return _by_id(b"".join(product_lines(engine, {}, ProductsQuery(vectors=True))))


def differing(one: Products, other: Products) -> list[str]:
    """Return the products that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def letters_astray(stage: Stage) -> tuple[list[str], list[str]]:
    """Return dead letters that should not be, and places of events that should have one.

    An image that cannot be had is no failure of an event that a newer one of its product has
    made void before it was looked at; all others must be told.
    """
    topics = stage.settings.topics
    poison = set().union(*(author.poison for author in stage.authors))
    dead = failures(stage.cluster.read(stage.cluster.bounds([topics.dead_letters])))
    wanted: dict[MessagePosition, frozenset[int] | None] = {}  # None: the message is poison
    newest: dict[str, tuple[Any, MessagePosition]] = {}
    for message in stage.cluster.read(stage.cluster.bounds([topics.search_requests])):
        if message.damage == MESSAGE_UNREADABLE:  # else a request is answered
            wanted[message.source] = None
    for message in stage.cluster.read(stage.cluster.bounds(topics.product_topics())):
        if message.damage is not None or (message.key, message.value) in poison:
            wanted[message.source] = None
            continue
        event = decode(message)
        if isinstance(event, ProductOfferUpdated):
            continue
        at = order_of(event, message, stage.settings.order_mode), message.source
        newest[event.product.product_id] = max(newest.get(event.product.product_id, at), at)
        wanted[message.source] = frozenset(
            number
            for number, image in enumerate(getattr(event.product, "images", ()))
            if image.url and never_a_picture(image.url)
        )
    surplus = [
        f"{format_position(s)}: {told}" for s, told in dead.items() if not _due(told, wanted, s)
    ]
    deciding = {source for _, source in newest.values()}
    missing = [
        f"{format_position(source)}: {numbers}"
        for source, numbers in wanted.items()
        if numbers is None or source in deciding
        if not _told(dead.get(source), numbers)
    ]
    return surplus, missing


def _due(
    told: Failure, wanted: dict[MessagePosition, frozenset[int] | None], source: MessagePosition
) -> bool:
    """Return whether all that a message's dead letters say was to be expected."""
    numbers = wanted.get(source, frozenset())
    if numbers is None:
        return not (told.image_numbers or told.unnumbered or told.whole_event)
    return (
        not (told.unnumbered or told.whole_event)
        and bool(told.image_numbers)
        and told.image_numbers <= numbers
    )


def _told(told: Failure | None, numbers: frozenset[int] | None) -> bool:
    if numbers is None:
        return told is not None
    return not numbers or (told is not None and told.image_numbers == numbers)


def disagreements(workers: Iterable[Life]) -> list[str]:
    """Return pairs of workers that do not serve the same, and what differs."""
    pairs = itertools.combinations([(life, served(life)) for life in workers], 2)
    return [
        f"{one} and {other}: {differing(mine, theirs)}"
        for (one, mine), (other, theirs) in pairs
        if mine != theirs
    ]
