"""Print the trace of a product: a table per source, then the verdict."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from streams.tools.dlq.tables import cell, console, to_seconds
from streams.tools.explain.trace import PIPELINES, ProductTrace, SeenEvent, SeenRecord, iso
from streams.tools.explain.verdict import ProductVerdict
from visualsearch.contracts.records import Order

_EVENT = ("event", "time (UTC)", "type", "occurred at", "version", "order", "committed by", "")
_GOOD = {"searchable": "bold green", "deleted": "bold", "late": "bold yellow"}


def print_explained(found: ProductTrace, said: ProductVerdict) -> None:
    """Print events, records, dead letters, the worker's state and, last, the verdict."""
    out = console()
    for topic, events in found.latest.items():
        count = found.counts[topic]
        shown = f"{count:,} events, the last {len(events)}" if count > len(events) else "events"
        out.print(_table(f"{topic}: {shown}", _EVENT, (_event(e, found) for e in events)))
    if found.records:
        columns = ("index log", "kind", "order", "from", "event id", "model", "images", "")
        rows = (_record(found.records[kind]) for kind in sorted(found.records))
        out.print(_table("index log: the newest record of each kind", columns, rows))
    if found.retries:
        names = ("retry", "original", "round", "not before (UTC)", "last error", "message")
        again = (
            (
                r.position,
                r.original,
                str(r.rounds),
                to_seconds(iso(r.not_before_ms)),
                r.code,
                r.message,
            )
            for r in found.retries
        )
        out.print(_table("pending retries", names, again))
    if found.dead_letters:
        headings = ("letter", "original", "stage", "code", "message")
        letters = ((x.position, x.original, x.stage, x.code, x.message) for x in found.dead_letters)
        out.print(_table("dead letters", headings, letters))
    out.print(_table("index of the worker", ("model", "searchable", "orders"), [_worker(found)]))
    out.print(Text(said.text, style=_GOOD.get(said.code, "bold red")), soft_wrap=True)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(
        box=None, title=title, title_justify="left", title_style="bold", header_style="dim"
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def _event(event: SeenEvent, found: ProductTrace) -> Sequence[str]:
    committed = [
        pipeline
        for pipeline in PIPELINES
        if found.committed.get(pipeline, {}).get((event.topic, event.partition), -1) > event.offset
    ]
    by = "both pipelines" if len(committed) == len(PIPELINES) else " ".join(committed)
    note = f"{event.code}: {event.error}" if event.code else ("replay" if event.replayed else "")
    occurred = event.occurred_at.isoformat() if event.occurred_at else None
    version = "" if event.version is None else str(event.version)
    return (
        f"[{event.partition}]@{event.offset}",
        to_seconds(iso(event.timestamp_ms)),
        event.type or "?",
        to_seconds(occurred),
        version,
        _order(event.order),
        by,
        note,
    )


def _record(record: SeenRecord) -> Sequence[str]:
    images = "" if record.images is None else str(record.images)
    return (
        record.position, record.kind, _order(record.order), record.source, record.event_id,
        record.model or "", images, "deleted" if record.deleted else "",
    )  # fmt: skip


def _worker(found: ProductTrace) -> Sequence[str]:
    worker = found.worker
    if worker is None:
        return ("", "", found.worker_error)
    orders = ", ".join(f"{kind} {_order(order)}" for kind, order in worker.orders.items() if order)
    state = "yes" if worker.searchable else f"no: {worker.why}"
    return (worker.model, state, orders)


def _order(order: Order | None) -> str:
    return "" if order is None else "/".join(map(str, order))
