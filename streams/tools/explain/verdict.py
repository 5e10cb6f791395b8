"""The verdict on a product, from its trace. Pure."""

from dataclasses import dataclass

from streams.tools.explain.trace import (
    PipelineName,
    ProductTrace,
    SeenDeadLetter,
    SeenEvent,
    SeenRecord,
    SeenRetry,
    iso,
)
from visualsearch.contracts.records import Order, RecordKind

_PIPELINE_OF: dict[RecordKind, PipelineName] = {
    "base": "attributes",
    "offer": "attributes",
    "vectors": "embedding",
}
_WORDS = {"attributes": "attribute pipeline", "embedding": "embedding pipeline"}
_WHY = {
    "deleted": "the worker knows it as deleted",
    "no_base": "the worker has only an offer or images of it, no title",
    "no_vectors": "the worker's index has no vectors of it",
}


@dataclass(frozen=True, slots=True)
class ProductVerdict:
    """A stable code and a sentence for people.

    Codes: searchable, searchable_in_part, searchable_outdated, not_asked, late, retrying, failed,
    deleted, no_product_event, no_pictures, no_vectors, other_model, lost, unknown.
    """

    code: str
    text: str


def verdict(found: ProductTrace) -> ProductVerdict:
    """Say whether the product is searchable and, if not, where it stopped."""
    if not (found.latest or found.records):
        return _nothing(found)
    for judge in (_unreadable, _late_or_failed, _deleted, _incomplete, _in_worker):
        if (said := judge(found)) is not None:
            return said
    return _searchable(found)


def _nothing(found: ProductTrace) -> ProductVerdict:
    """Judge a product of which neither an event nor a record was found."""
    worker = found.worker
    if worker is not None and worker.searchable:
        return ProductVerdict("searchable", "searchable; its events are older than what was read")
    if worker is not None and worker.known:
        code = "deleted" if worker.why == "deleted" else "no_vectors"
        return ProductVerdict(code, f"not searchable: {_WHY.get(worker.why or '', worker.why)}")
    if found.dead_letters:
        letter = found.dead_letters[-1]
        return ProductVerdict("failed", f"not searchable: {_codes_text([letter])}")
    hint = "" if found.complete else " in what was read; try without --since, or --all-partitions"
    return ProductVerdict(
        "unknown", f"unknown: no event with this key in {', '.join(found.topics)}{hint}"
    )


def _unreadable(found: ProductTrace) -> ProductVerdict | None:
    """Judge a product whose newest event, by its original position, was rejected."""
    bad, newest = found.unreadable, found.newest
    if bad is None or (newest is not None and not _after(bad, newest)):
        return None
    if (late := _not_reached("attributes", bad, found)) is not None:
        return late
    letters = _dead_letters_of(bad, found)
    because = _codes_text(letters) if letters else f"{bad.code}: {bad.error}"
    if _is_searchable(found):
        text = f"searchable, but its newest event {bad.source} was not used: {because}"
        return ProductVerdict("searchable_outdated", text)
    return ProductVerdict(
        "failed", f"not searchable: its newest event {bad.source} was not used: {because}"
    )


def _late_or_failed(found: ProductTrace) -> ProductVerdict | None:
    """Judge by the records that the newest events should have left in the index log."""
    wanted: list[tuple[RecordKind, SeenEvent | None]] = [
        ("base", found.newest), ("vectors", found.newest), ("offer", found.offer),
    ]  # fmt: skip
    for kind, event in wanted:
        if event is None or event.order is None or _reached(found.records.get(kind), event.order):
            continue
        if (late := _not_reached(_PIPELINE_OF[kind], event, found)) is not None:
            return late
        if kind == "vectors" and (retry := _retry_of(event, found)) is not None:
            return ProductVerdict("retrying", f"late: {_retry_text(retry)}")
        letters = _dead_letters_of(event, found)
        if not letters:
            name = _WORDS[_PIPELINE_OF[kind]]
            text = f"the {name} committed {event.source} without a record or a dead letter"
            return ProductVerdict("lost", f"lost: {text}")
        return _failed(kind, letters, found)
    return None


def _failed(kind: RecordKind, letters: list[SeenDeadLetter], found: ProductTrace) -> ProductVerdict:
    because = _codes_text(letters)
    if kind == "vectors":
        if _is_searchable(found):
            text = f"searchable with its former images, the new ones failed: {because}"
            return ProductVerdict("searchable_outdated", text)
        return ProductVerdict("failed", f"not searchable: its images failed: {because}")
    if _is_searchable(found):
        return ProductVerdict(
            "searchable_outdated", f"searchable, but its last change failed: {because}"
        )
    return ProductVerdict("failed", f"not searchable: {because}")


def _deleted(found: ProductTrace) -> ProductVerdict | None:
    base = found.records.get("base")
    if base is None or not base.deleted:
        return None
    if found.worker is not None and found.worker.searchable:
        return _behind(base)
    event = found.newest if found.newest and found.newest.source == base.source else None
    at = iso(base.timestamp_ms if event is None else event.timestamp_ms)
    return ProductVerdict("deleted", f"deleted by product-deleted event {base.source} at {at}")


def _incomplete(found: ProductTrace) -> ProductVerdict | None:
    """Judge a product whose records in the index log are incomplete, though nothing failed."""
    base, vectors = found.records.get("base"), found.records.get("vectors")
    if found.worker is not None and found.worker.searchable and not (base and vectors):
        return None  # they are older than what was read
    if base is None:
        text = "only offers came, no product-created or product-updated event"
        return ProductVerdict("no_product_event", f"not searchable: {text}")
    if vectors is None or vectors.deleted:
        return ProductVerdict("no_vectors", "not searchable: the index log has no vectors of it")
    if not vectors.images:
        return ProductVerdict(
            "no_pictures", f"not searchable: its event {vectors.source} has no images"
        )
    return None


def _in_worker(found: ProductTrace) -> ProductVerdict | None:
    """Judge a product that is searchable by the log, by the worker's index."""
    worker, vectors = found.worker, found.records.get("vectors")
    if worker is None:
        text = f"searchable by the index log; no worker was asked: {found.worker_error}"
        return ProductVerdict("not_asked", text)
    foreign = vectors is not None and vectors.model != worker.model
    if vectors is not None and foreign and not worker.searchable:
        text = f"its vectors are of the model {vectors.model}, the worker's are of {worker.model}"
        return ProductVerdict("other_model", f"not searchable: {text}")
    for kind, record in found.records.items():
        known = worker.orders.get(kind)
        if (known is None or known < record.order) and not (kind == "vectors" and foreign):
            return _behind(record)
    if not worker.searchable:
        why = _WHY.get(worker.why or "", worker.why)
        return ProductVerdict("no_vectors", f"not searchable: {why}")
    return None


def _searchable(found: ProductTrace) -> ProductVerdict:
    newest, vectors = found.newest, found.records.get("vectors")
    if newest is None or vectors is None or newest.images is None:
        return ProductVerdict("searchable", "searchable")
    lacking = newest.images - (vectors.images or 0)
    if lacking > 0 and vectors.order == newest.order:
        retry = _retry_of(newest, found)
        because = _retry_text(retry) if retry else _codes_text(_dead_letters_of(newest, found))
        text = f"searchable, but {lacking} of its {newest.images} images failed: {because}"
        return ProductVerdict("searchable_in_part", text)
    return ProductVerdict("searchable", "searchable")


def _not_reached(
    pipeline: PipelineName, event: SeenEvent, found: ProductTrace
) -> ProductVerdict | None:
    """Return the verdict on an event that a pipeline has not committed, None if it has."""
    committed = found.committed.get(pipeline, {}).get((event.topic, event.partition))
    if committed is not None and committed > event.offset:
        return None
    so_far = "nothing, does a worker ingest?" if committed is None else str(committed)
    text = f"the {_WORDS[pipeline]} has not reached {event.source} (committed {so_far})"
    return ProductVerdict("late", f"late: {text}")


def _behind(record: SeenRecord) -> ProductVerdict:
    return ProductVerdict(
        "late", f"late: the worker has not applied {record.position} ({record.kind})"
    )


def _reached(record: SeenRecord | None, order: Order) -> bool:
    return record is not None and record.order >= order


def _is_searchable(found: ProductTrace) -> bool:
    """Return whether the product is searchable: in the worker if it was asked, else by the log."""
    if found.worker is not None:
        return found.worker.searchable
    base, vectors = found.records.get("base"), found.records.get("vectors")
    live = base is not None and not base.deleted
    return live and vectors is not None and bool(vectors.images)


def _after(one: SeenEvent, other: SeenEvent) -> bool:
    def key(event: SeenEvent) -> tuple[int, int]:
        place = event.place
        return (
            (event.timestamp_ms, event.offset)
            if place is None
            else (place.timestamp_ms, place.offset)
        )

    return key(one) > key(other)


def _dead_letters_of(event: SeenEvent, found: ProductTrace) -> list[SeenDeadLetter]:
    """Return the letters of an event, those of its replays among them."""
    return [
        letter
        for letter in found.dead_letters
        if letter.original == event.source
        or (event.place is not None and letter.place == event.place)
    ]


def _retry_of(event: SeenEvent, found: ProductTrace) -> SeenRetry | None:
    """Return the last retry of an event that waits or is in work."""
    return next((r for r in reversed(found.retries) if r.original == event.source), None)


def _retry_text(retry: SeenRetry) -> str:
    return (
        f"its images are tried again at {iso(retry.not_before_ms)} "
        f"(retry {retry.rounds}, last {retry.code}: {retry.message})"
    )


def _codes_text(letters: list[SeenDeadLetter]) -> str:
    """List the codes, each with its last dead letter."""
    last = {letter.code: letter.position for letter in letters}
    return ", ".join(f"{code} (dead letter {position})" for code, position in last.items()) or (
        "no dead letter says why"
    )
