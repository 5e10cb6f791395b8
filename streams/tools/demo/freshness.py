"""Publish single events at a steady rate; search for each until a result shows it.

Freshness is what a client sees: from handing an event to the producer until a result that proves
the event applied. It is an upper bound, as it includes polling by searches through the topics.
The pause between polls is 20 ms or 5 % of the time waited so far; few polls run at a time. So a
busy machine is not flooded with them.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from streams.tools.demo.dataset import DemoDataset
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.events import (
    ImageSource,
    Product,
    ProductCreated,
    ProductDeleted,
    ProductEvent,
    ProductOffer,
    ProductOfferUpdated,
    ProductReference,
    ProductUpdated,
    encode_event,
)
from visualsearch.contracts.search import QuerySpec, SearchFilters, SearchRequest, SearchResult

EventKind = Literal["create", "update", "offer", "delete"]
_CYCLE: tuple[EventKind, ...] = ("create", "offer", "update", "delete")
_LAG = 8  # cycles between a product's creation and its deletion: it has been seen by then
_POLL_S = 0.02
_POLL_SHARE = 0.05  # of the time waited so far: bounds the relative error
_MAX_PROBES = 4  # at a time
_GIVE_UP_S = 20.0
_PRICE = 100_000.0  # above real prices: a unique price identifies each offer


@dataclass(frozen=True, slots=True)
class FreshnessEvent:
    """An event, a search whose result it changes, and a test for the changed result."""

    kind: EventKind
    event: ProductEvent
    probe: SearchRequest
    shown: Callable[[SearchResult], bool]


@dataclass(frozen=True, slots=True)
class FreshnessSample:
    """An event's kind, and the milliseconds until a search showed it."""

    kind: EventKind
    took_ms: float


def plan_events(dataset: DemoDataset, count: int) -> list[FreshnessEvent]:
    """Return creations, offers, updates and deletions in turn.

    A deletion is of a product that was created eight cycles before; until there is one, an offer
    takes its place. So no product of the catalog is deleted.
    """
    lag = min(_LAG, max(count // len(_CYCLE) // 2, 1))
    singles = []
    for number in range(count):
        cycle, kind = number // len(_CYCLE), _CYCLE[number % len(_CYCLE)]
        if kind == "delete" and cycle < lag:
            kind = "offer"
        singles.append(_single(kind, dataset, number, cycle, lag))
    return singles


def _single(
    kind: EventKind, dataset: DemoDataset, number: int, cycle: int, lag: int
) -> FreshnessEvent:
    event_id, now = f"single-{number}", datetime.now(UTC)
    if kind == "offer":
        product_id, price = dataset.offer_product_id(number), _PRICE + number
        offer = ProductOffer(product_id=product_id, price=price, currency="EUR", in_stock=True)
        probe = _probe(dataset, product_id, SearchFilters(price_min=price, price_max=price))
        event = ProductOfferUpdated(event_id=event_id, occurred_at=now, product=offer)
        return FreshnessEvent(kind, event, probe, lambda result: bool(result.hits))
    if kind == "update":
        tag, given = f"updated-{cycle}", dataset.changed_product(cycle)
        # Without price and stock: the product keeps its current offer.
        given = msgspec.structs.replace(given, price=None, currency=None, in_stock=None)
    else:
        made = cycle - lag if kind == "delete" else cycle
        tag, given = f"created-{made}", dataset.new_product(made)
    product = _tagged(given, tag)
    probe = _probe(dataset, product.product_id, SearchFilters(tags=[tag]))
    if kind == "delete":
        gone = ProductReference(product_id=product.product_id)
        deleted = ProductDeleted(event_id=event_id, occurred_at=now, product=gone)
        return FreshnessEvent(
            kind, deleted, probe, lambda result: result.error is None and not result.hits
        )
    cls = ProductCreated if kind == "create" else ProductUpdated
    return FreshnessEvent(
        kind, cls(event_id=event_id, occurred_at=now, product=product), probe, _has(product)
    )


def _tagged(product: Product, tag: str) -> Product:
    """Add a tag to a product and its images: a filter and a hit then identify this version."""
    images = [
        ImageSource(f"{tag}-{n}", image.url, image.data, image.kind)
        for n, image in enumerate(product.images)
    ]
    return msgspec.structs.replace(product, tags=[*(product.tags or []), tag], images=images)


def _probe(dataset: DemoDataset, product_id: str, filters: SearchFilters) -> SearchRequest:
    """Search with filters that only this product passes, by another's vectors: no model call."""
    like = dataset.another_product_id(product_id)
    return SearchRequest(request_id="", query=QuerySpec(similar_to=like), filters=filters, top_k=1)


def _has(product: Product) -> Callable[[SearchResult], bool]:
    """Return a test for hits with this version's image ids."""
    ids = {image.image_id for image in product.images}
    return lambda result: any(hit.image_id in ids for hit in result.hits)


async def measure_freshness(
    client: SearchClient,
    producer: Producer,
    topic: str,
    singles: Sequence[FreshnessEvent],
    *,
    per_s: float = 5.0,
    progress: Callable[[int], None] = lambda _: None,
) -> list[FreshnessSample]:
    """Publish the events at a steady rate and wait for each. Raises TimeoutError.

    A product is deleted only once it was seen: on a busy machine that may take longer than the
    eight cycles between its creation and its deletion.
    """
    started = time.perf_counter()
    done = 0
    slots = asyncio.Semaphore(_MAX_PROBES)
    seen: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def one(number: int, single: FreshnessEvent) -> FreshnessSample:
        nonlocal done
        await asyncio.sleep(max(started + number / per_s - time.perf_counter(), 0))
        created = seen[single.event.product.product_id]
        if single.kind == "delete":
            await created.wait()
        fresh = await _follow(client, producer, topic, single, slots)
        if single.kind == "create":
            created.set()
        done += 1
        progress(done)
        return fresh

    return await asyncio.gather(*(one(n, single) for n, single in enumerate(singles)))


async def _follow(
    client: SearchClient,
    producer: Producer,
    topic: str,
    single: FreshnessEvent,
    slots: asyncio.Semaphore,
) -> FreshnessSample:
    event = single.event
    event.occurred_at = datetime.now(UTC)
    value = encode_event(event)
    started = time.perf_counter()
    sent = producer.submit(OutgoingMessage(topic, event.product.product_id.encode(), value))
    while True:
        async with slots:
            probe = msgspec.structs.replace(single.probe, request_id=uuid.uuid4().hex)
            result = await asyncio.wrap_future(client.submit(probe))
        seen_at = time.perf_counter()
        if single.shown(result):
            await asyncio.wrap_future(sent)
            return FreshnessSample(single.kind, (seen_at - started) * 1000)
        if seen_at - started > _GIVE_UP_S:
            last = result.error.code if result.error else f"{len(result.hits)} hits"
            raise TimeoutError(
                f"{single.kind} of {event.product.product_id}: no search showed it in "
                f"{_GIVE_UP_S:.0f} s; the last one gave {last}"
            )
        await asyncio.sleep(max(_POLL_S, _POLL_SHARE * (seen_at - started)))
