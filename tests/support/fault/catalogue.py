"""Two catalog systems that write one random history of the same products, whatever happens."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.config.settings import Settings
from streams.config.topics import TopicNames
from streams.ingest.order import OrderMode
from tests.support.fault.hosts import LIES, Hosts
from tests.support.harness import inline
from tests.support.malformed import malformed_messages
from tests.support.path_events import created, deleted, offer, updated
from visualsearch.client.closing import Closing
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer, SendError
from visualsearch.contracts.events import ImageSource, ProductEvent, encode_event

PRODUCTS = 150
PICTURES = 4096
PAUSE_S = 0.5
FEW = 2  # events in each pause
BURST = 60
POISON = 2000
ONCE = 0.4  # of the created products: never heard of again
HOWS = ("inline",) * 8 + ("good",) * 4 + ("slow", "reluctant", "dead", "lie") + ("mixed",) * 3
KINDS = ("created",) * 3 + ("updated",) * 4 + ("offer",) * 3 + ("deleted",) * 3 + ("poison",)


class Author:
    """Makes up events: of few products, so that their events meet in every batch.

    In `explicit` mode the versions of a product rise, but now and then an older one comes late.
    """

    def __init__(
        self, rng: random.Random, hosts: Hosts, topics: TopicNames, mode: OrderMode
    ) -> None:
        self._rng = rng
        self._hosts = hosts
        self._topics = topics
        self._mode = mode
        self._poison = iter(malformed_messages(POISON, rng.randrange(2**32)))
        self.poison: set[tuple[bytes | None, bytes | None]] = set()

    def message(self) -> OutgoingMessage:
        """Return the next message of the history."""
        kind = self._rng.choice(KINDS)
        if kind == "poison" and (bad := next(self._poison, None)) is not None:
            self.poison.add((bad.key, bad.value))
            return OutgoingMessage(self._topics.product_events, bad.key, bad.value,
                                   headers=bad.headers)  # fmt: skip
        product = self._product(kind)
        if kind == "deleted" and self._mode == "timestamp" and self._rng.random() < 0.3:
            name = self._rng.choice((self._topics.product_events, self._topics.product_deleted))
            return OutgoingMessage(name, product.encode(), None)
        event = self._event("offer" if kind == "poison" else kind, product)
        event.occurred_at = self._some_time()
        return OutgoingMessage(self._topic(kind), product.encode(), encode_event(event))

    def _product(self, kind: str) -> str:
        """Return one of the few, or one whose loss no later event makes up for."""
        if kind == "created" and self._rng.random() < ONCE:
            return f"once-{self._rng.getrandbits(64):x}"
        return f"p{self._rng.randrange(PRODUCTS)}"

    def _event(self, kind: str, product: str) -> ProductEvent:
        rng, version = self._rng, self._version()
        if kind == "deleted":
            return deleted(product, version)
        terms = {"price": rng.randrange(1, 100_00) / 100, "currency": "EUR",
                 "in_stock": rng.random() < 0.5}  # fmt: skip
        if kind == "offer":
            return offer(product, version, **terms)
        whole = created if kind == "created" else updated
        fields: dict[str, Any] = {
            "title": f"Thing {rng.randrange(10**6)}",
            "category": rng.choice(("Mugs", "Lamps", None)),
            "tags": rng.sample(["a", "b", "c"], rng.randrange(3)),
        }
        if rng.random() < 0.5:
            fields |= terms
        return whole(product, *self._images(), version=version, **fields)

    def _images(self) -> Iterator[ImageSource]:
        for _ in range(self._rng.choice((0, 1, 1, 1, 2, 3))):
            how, number = self._rng.choice(HOWS), self._rng.randrange(PICTURES)
            if how == "inline":
                yield inline(number)
            else:
                how = self._rng.choice(LIES) if how == "lie" else how
                if how == "mixed":  # half of what this host serves is wrong: its files' fault
                    how = f"mixed/{self._rng.choice(('good', self._rng.choice(LIES)))}"
                yield ImageSource(url=self._hosts.url(how, number))

    def _version(self) -> int | None:
        if self._mode == "timestamp":
            return self._rng.choice((None, 1))  # not looked at
        late_s = self._rng.random() * 20 if self._rng.random() < 0.1 else 0.0
        return int((time.time() - late_s) * 10)  # equal ones are wanted too

    def _some_time(self) -> datetime:
        """Return when an event says that it occurred; some clocks are years off."""
        off_s = self._rng.choice((0, 0, 0, 0, 3600, -3600, 10**8, -(10**8)))
        return datetime.now(UTC) + timedelta(seconds=off_s)

    def _topic(self, kind: str) -> str:
        """Return the topic for all events, or that of the kind alone."""
        if kind == "poison" or self._rng.random() < 0.4:
            return self._topics.product_events
        own = {"created": self._topics.product_created, "updated": self._topics.product_updated,
               "offer": self._topics.product_offer_updated,
               "deleted": self._topics.product_deleted}  # fmt: skip
        return own[kind]


class Writer(Closing):
    """A catalog system: a thread that publishes, through broker failures too, until closed."""

    def __init__(self, settings: Settings, author: Author) -> None:
        self._author = author
        self._stopping = threading.Event()
        self._wanted = threading.Semaphore(0)
        self._producer = Producer(settings.kafka(), linger_ms=0)
        self._failure: Exception | None = None
        self.published = 0
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)
        self._thread.start()

    def burst(self, count: int = BURST) -> None:
        """Publish many at once, so that the next batches are full."""
        self._wanted.release(count)

    def close(self) -> None:
        """Publish nothing more. Raises what stopped the writer, if anything did."""
        self._stopping.set()
        self._wanted.release()
        self._thread.join()
        self._producer.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                hurried = self._wanted.acquire(timeout=PAUSE_S)
                batch = [self._author.message() for _ in range(self._hurry() if hurried else FEW)]
                until_sent(self._producer, batch, self._stopping.is_set)
                self.published += len(batch)
        except Exception as error:  # told to whoever closes it
            self._failure = error

    def _hurry(self) -> int:
        count = 1
        while self._wanted.acquire(blocking=False):
            count += 1
        return count


def until_sent(
    producer: Producer, batch: list[OutgoingMessage], stopping: Callable[[], bool]
) -> None:
    """Send a batch, and what was not acknowledged again until it is; a second copy does no harm."""
    left = batch
    while left and not stopping():
        futures = [(message, producer.submit(message)) for message in left]
        left = [message for message, future in futures if not _arrived(future.exception())]


def _arrived(error: BaseException | None) -> bool:
    if error is not None and not isinstance(error, SendError):
        raise error
    return error is None
