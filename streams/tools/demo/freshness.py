"""Single events at a steady rate, each followed until a search answer shows it.

What is measured is what a client sees: from handing an event to the producer until an answer
that could only be given with the event applied is in hand. It includes the asking, a search
through the topics every 20 ms or every twentieth of the time waited so far, so it is an upper
bound. The rarer asking of late events, and the few at a time, keep a busy machine from being
drowned in questions about how busy it is.
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

from streams.tools.demo.goods import DemoDataset
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
_TURN: tuple[EventKind, ...] = ("create", "offer", "update", "delete")
_LAG = 8  # turns between a product's creation and its deletion: it has been seen by then
_EVERY_S = 0.02
_SHARE = 0.05  # of the time waited so far: the error stays as small as that
_AT_ONCE = 4  # probes under way
_GIVE_UP_S = 20.0
_PRICE = 100_000.0  # no shop asks it: a price of its own tells each offer apart


@dataclass(frozen=True, slots=True)
class FreshnessEvent:
    """An event, a search that its application changes, and how the changed answer looks."""

    kind: EventKind
    event: ProductEvent
    probe: SearchRequest
    shown: Callable[[SearchResult], bool]


@dataclass(frozen=True, slots=True)
class FreshnessSample:
    """An event's kind and the milliseconds until a search showed it."""

    kind: EventKind
    took_ms: float


def plan_events(goods: DemoDataset, count: int) -> list[FreshnessEvent]:
    """Return creations, offers, updates and deletions in turn.

    A deletion takes a product that was created eight turns before; until there is one, an offer
    takes its turn. So the catalog's own products all stay.
    """
    lag = min(_LAG, max(count // len(_TURN) // 2, 1))
    singles = []
    for number in range(count):
        turn, kind = number // len(_TURN), _TURN[number % len(_TURN)]
        if kind == "delete" and turn < lag:
            kind = "offer"
        singles.append(_single(kind, goods, number, turn, lag))
    return singles


def _single(
    kind: EventKind, goods: DemoDataset, number: int, turn: int, lag: int
) -> FreshnessEvent:
    event_id, now = f"single-{number}", datetime.now(UTC)
    if kind == "offer":
        product_id, price = goods.offer_product_id(number), _PRICE + number
        offer = ProductOffer(product_id=product_id, price=price, currency="EUR", in_stock=True)
        probe = _probe(goods, product_id, SearchFilters(price_min=price, price_max=price))
        event = ProductOfferUpdated(event_id=event_id, occurred_at=now, product=offer)
        return FreshnessEvent(kind, event, probe, lambda result: bool(result.hits))
    if kind == "update":
        tag, given = f"updated-{turn}", goods.changed_product(turn)
        # Price and stock left out: the product keeps its offer, whatever that is by now.
        given = msgspec.structs.replace(given, price=None, currency=None, in_stock=None)
    else:
        made = turn - lag if kind == "delete" else turn
        tag, given = f"created-{made}", goods.new_product(made)
    product = _tagged(given, tag)
    probe = _probe(goods, product.product_id, SearchFilters(tags=[tag]))
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
    """Mark a product and its images, so that a filter and a hit tell this version of it."""
    images = [
        ImageSource(f"{tag}-{n}", image.url, image.data, image.kind)
        for n, image in enumerate(product.images)
    ]
    return msgspec.structs.replace(product, tags=[*(product.tags or []), tag], images=images)


def _probe(goods: DemoDataset, product_id: str, filters: SearchFilters) -> SearchRequest:
    """Ask for what only this product can answer. Another's vectors are the query: no model call."""
    like = goods.another_product_id(product_id)
    return SearchRequest(request_id="", query=QuerySpec(similar_to=like), filters=filters, top_k=1)


def _has(product: Product) -> Callable[[SearchResult], bool]:
    """Say yes to an answer with this version's text (the tag) and its images (their ids)."""
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
    """Publish the events at a steady rate and follow each. Raises TimeoutError for one unseen.

    A product is deleted only once it was seen: on a busy machine its creation may take longer than
    the time between the two.
    """
    started = time.perf_counter()
    done = 0
    slots = asyncio.Semaphore(_AT_ONCE)
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
        await asyncio.sleep(max(_EVERY_S, _SHARE * (seen_at - started)))
