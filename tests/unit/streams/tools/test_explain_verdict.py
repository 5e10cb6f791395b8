"""The verdict on a product in every state that it can be in."""

from dataclasses import replace
from typing import Any

import pytest

from streams.ingest.order import OriginalPosition
from streams.tools.explain.trace import (
    ProductTrace,
    SeenDeadLetter,
    SeenEvent,
    SeenRecord,
    SeenRetry,
    WorkerState,
)
from streams.tools.explain.verdict import verdict
from visualsearch.contracts.records import Order, RecordKind

E = "product-events"
CREATED: Order = (1000, 10, 0)
UPDATED: Order = (2000, 20, 1)
OFFER: Order = (2500, 25, 2)
DELETED: Order = (3000, 30, 3)
TYPES = ("product-created", "product-updated", "product-offer-updated", "product-deleted")


def event(order: Order, images: int | None = 1, **more: Any) -> SeenEvent:
    """Return an event that stands where its order says."""
    time_ms, offset, rank = order
    images = images if rank < 2 else None
    fields = {"type": TYPES[rank], "order": order, "place": OriginalPosition(time_ms, offset)}
    return SeenEvent(E, 0, offset, time_ms, images=images, **(fields | more))


def unreadable(offset: int) -> SeenEvent:
    """Return an event that is no JSON."""
    return SeenEvent(
        E,
        0,
        offset,
        offset * 100,
        place=OriginalPosition(offset * 100, offset),
        code="not_json",
        error="bad",
    )


def record(kind: RecordKind, order: Order, **more: Any) -> SeenRecord:
    """Return a record of the log."""
    images = {"model": "lite", "images": 1} if kind == "vectors" else {}
    position = f"index-log[0]@{order[1] * 2}"
    source = f"{E}[0]@{order[1]}"
    return SeenRecord(
        position, kind, more.pop("order", order), more.pop("deleted", False), order[0], source,
        "e", TYPES[order[2]], **(images | more),
    )  # fmt: skip


def letter(offset: int, code: str = "image_http_404", position: str = "0@12") -> SeenDeadLetter:
    """Return a dead letter of the event at an offset."""
    place = OriginalPosition(offset * 100, offset)
    return SeenDeadLetter(position, f"{E}[0]@{offset}", place, "fetch", code, "gone")


def worker(
    base: Order | None = CREATED,
    vectors: Order | None = CREATED,
    *,
    searchable: bool = True,
    why: str | None = None,
    model: str = "lite",
    offer: Order | None = None,
) -> WorkerState:
    """Return what a worker's index holds."""
    known = base is not None or vectors is not None or offer is not None
    orders = {"base": base, "offer": offer, "vectors": vectors}
    return WorkerState(model, known, searchable and why is None, why, orders)


def retry(offset: int) -> SeenRetry:
    """Return a retry of the event at an offset."""
    return SeenRetry("0@5", f"{E}[0]@{offset}", 2, 60_000, "image_host_down", "gone")


NOTHING = worker(None, None, why="unknown")


def found(
    *events: SeenEvent,
    records: tuple[SeenRecord, ...] = (),
    attributes: int = 100,
    embedding: int = 100,
    **more: Any,
) -> ProductTrace:
    """Return what was found; both pipelines are past everything unless told otherwise."""
    read = [e for e in events if e.order is not None]
    fields: dict[str, Any] = {
        "latest": {E: tuple(events)} if events else {},
        "counts": {E: len(events)} if events else {},
        "newest": max((e for e in read if e.images is not None or e.type == TYPES[3]),
                      key=lambda e: e.order or CREATED, default=None),
        "offer": next((e for e in read if e.type == TYPES[2]), None),
        "unreadable": next((e for e in events if e.order is None), None),
        "records": {r.kind: r for r in records},
        "committed": {"attributes": {(E, 0): attributes}, "embedding": {(E, 0): embedding}},
        "worker": NOTHING,
    }  # fmt: skip
    return ProductTrace("p", (E,), **(fields | more))


LIVE = (record("base", CREATED), record("vectors", CREATED))
GONE = (
    record("base", DELETED, deleted=True),
    record("offer", DELETED, deleted=True),
    record("vectors", DELETED, deleted=True, images=0, model=None),
)
BOTH = event(CREATED)

CASES = {
    "unknown": (found(), "unknown", f"unknown: no event with this key in {E}"),
    "unknown in what was read": (
        found(complete=False), "unknown", "try without --since, or --all-partitions"),
    "older than what was read": (found(worker=worker()), "searchable", "searchable; its events"),
    "only the worker knows it is deleted": (
        found(worker=worker(DELETED, DELETED, why="deleted")), "deleted", "knows it as deleted"),
    "pictures that are tried again": (
        found(BOTH, records=LIVE[:1], retries=(retry(BOTH.offset),)), "retrying",
        "tried again at 1970-01-01T00:01:00+00:00 (retry 2, last image_host_down: gone)"),
    "some pictures are tried again": (
        found(event(CREATED, 2), records=(LIVE[0], record("vectors", CREATED, images=1)),
              worker=worker(), retries=(retry(BOTH.offset),)),
        "searchable_in_part", "1 of its 2 images failed: its images are tried again at"),
    "only a dead letter": (
        found(dead_letters=(letter(9, "key_mismatch"),)),
        "failed", "key_mismatch (dead letter 0@12)"),
    "searchable": (found(BOTH, records=LIVE, worker=worker()), "searchable", "searchable"),
    "the attribute pipeline is behind": (
        found(BOTH, attributes=10), "late",
        "late: the attribute pipeline has not reached product-events[0]@10 (committed 10)"),
    "the embedding pipeline is behind": (
        found(BOTH, records=LIVE[:1], embedding=7), "late",
        "late: the embedding pipeline has not reached product-events[0]@10 (committed 7)"),
    "no pipeline ever ran": (
        found(BOTH, committed={}), "late", "(committed nothing, does a worker ingest?)"),
    "the worker is behind": (
        found(BOTH, records=LIVE), "late", "late: the worker has not applied index-log[0]@20"),
    "the worker is behind with an offer": (
        found(BOTH, event(OFFER), records=(*LIVE, record("offer", OFFER)), worker=worker()),
        "late", "has not applied index-log[0]@50 (offer)"),
    "the pictures failed": (
        found(BOTH, records=LIVE[:1], dead_letters=(letter(10),), worker=worker(vectors=None,
              why="no_vectors")),
        "failed", "not searchable: its images failed: image_http_404 (dead letter 0@12)"),
    "the new pictures failed": (
        found(BOTH, event(UPDATED), records=(record("base", UPDATED), LIVE[1]),
              dead_letters=(letter(20),), worker=worker(UPDATED)),
        "searchable_outdated", "searchable with its former images, the new ones failed: image_"),
    "one of two pictures failed": (
        found(event(CREATED, 2), records=LIVE, dead_letters=(letter(10),), worker=worker()),
        "searchable_in_part", "searchable, but 1 of its 2 images failed: image_http_404 (dead"),
    "a former event's letter is history": (
        found(event(UPDATED), records=(record("base", UPDATED), record("vectors", UPDATED)),
              dead_letters=(letter(10),), worker=worker(UPDATED, UPDATED)),
        "searchable", "searchable"),
    "a record too large": (
        found(BOTH, dead_letters=(letter(10, "record_too_large"),)), "failed",
        "not searchable: record_too_large (dead letter 0@12)"),
    "an update too large": (
        found(BOTH, event(UPDATED), records=LIVE, dead_letters=(letter(20, "record_too_large"),),
              worker=worker()),
        "searchable_outdated", "searchable, but its last change failed: record_too_large"),
    "neither record nor letter": (
        found(BOTH, records=LIVE[:1], worker=worker(vectors=None, why="no_vectors")), "lost",
        "lost: the embedding pipeline committed product-events[0]@10 without"),
    "its only event is no JSON": (
        found(unreadable(9), dead_letters=(letter(9, "not_json"),)), "failed",
        "not searchable: its newest event product-events[0]@9 was not used: not_json (dead"),
    "its newest event is no JSON": (
        found(BOTH, unreadable(11), records=LIVE, dead_letters=(letter(11, "not_json"),),
              worker=worker()),
        "searchable_outdated",
        "searchable, but its newest event product-events[0]@11 was not used: not_json (dead"),
    "an event that is no JSON is not reached": (
        found(unreadable(9), attributes=9), "late",
        "late: the attribute pipeline has not reached product-events[0]@9 (committed 9)"),
    "an older event is no JSON": (
        found(unreadable(9), BOTH, records=LIVE, worker=worker()), "searchable", "searchable"),
    "deleted": (
        found(BOTH, event(DELETED), records=GONE, worker=worker(DELETED, DELETED, why="deleted")),
        "deleted", "deleted by product-deleted event product-events[0]@30 at 1970-01-01T00:00:03"),
    "deleted long ago": (
        found(records=GONE, worker=worker(DELETED, DELETED, why="deleted")), "deleted",
        "deleted by product-deleted event product-events[0]@30 at 1970-01-01T00:00:03"),
    "the worker has not seen the delete": (
        found(event(DELETED), records=GONE, worker=worker()), "late",
        "the worker has not applied index-log[0]@60 (base)"),
    "only an offer": (
        found(event(OFFER), records=(record("offer", OFFER),)), "no_product_event",
        "not searchable: only offers came"),
    "no pictures": (
        found(event(CREATED, 0), records=(LIVE[0], record("vectors", CREATED, images=0)),
              worker=worker(why="no_vectors")),
        "no_pictures", "not searchable: its event product-events[0]@10 has no images"),
    "no vectors in what was read": (
        found(records=LIVE[:1], worker=worker(vectors=None, why="no_vectors")), "no_vectors",
        "not searchable: the index log has no vectors of it"),
    "another model": (
        found(BOTH, records=LIVE, worker=worker(vectors=None, why="no_vectors", model="clip")),
        "other_model", "its vectors are of the model lite, the worker's are of clip"),
    "no worker was asked": (
        found(BOTH, records=LIVE, worker=None, worker_error="no answer from x"), "not_asked",
        "searchable by the index log; no worker was asked: no answer from x"),
    "the worker holds no vectors of it": (
        found(BOTH, records=LIVE, worker=worker(why="no_vectors")), "no_vectors",
        "not searchable: the worker's index has no vectors of it"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_state_has_its_verdict(name: str) -> None:
    """A code for machines, a sentence for people."""
    given, code, text = CASES[name]
    said = verdict(given)
    assert (said.code, text in said.text) == (code, True), said


def test_a_replay_in_flight_is_late_and_then_searchable() -> None:
    """It has the order of its original and stands at an offset of its own."""
    replay = replace(event(CREATED), offset=90, replayed=True)
    given = found(replay, records=LIVE[:1], dead_letters=(letter(10),), embedding=50)
    assert verdict(given).text.startswith(
        "late: the embedding pipeline has not reached product-events"
    )
    done = replace(given, records={r.kind: r for r in LIVE}, worker=worker())
    assert verdict(done).code == "searchable"
    failed = replace(given, committed={"attributes": {(E, 0): 100}, "embedding": {(E, 0): 100}})
    again = replace(letter(90, position="0@13"), place=OriginalPosition(1000, 10))
    assert "dead letter 0@13" in verdict(replace(failed, dead_letters=(letter(10), again))).text
