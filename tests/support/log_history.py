"""Random lives of a few products, through two lanes that do all that they must not, to a log.

Events come on a topic per type, each with offsets of its own. A lane reads the topics in any
order, reads again what it has read (a rebalance), and its writes wait for as long as they like
while others are written (a zombie). Readers come and go, the log is compacted behind them.
"""

import random
from collections import deque
from contextlib import suppress
from functools import cache, partial
from typing import Any

import numpy as np

from streams.ingest.attributes import AttributeLane
from streams.ingest.order import OrderMode
from streams.ingest.outcome import Outcome, index_message, newest_records, read_batch
from streams.kafka.messages import SourceMessage
from tests.support.log_catalogue import Catalogue, newest_orders
from tests.support.log_replica import DIM, MODEL, PARTITIONS, TOPIC, Log, Replica
from visualsearch.client.messages import OutgoingMessage
from visualsearch.contracts.events import Deleted, Offer
from visualsearch.contracts.records import ImageVector, Order, Vectors

LAG_S = 70.0  # `min.compaction.lag.ms`: the time in which somebody must have healed
FORCED_S = 15.0  # a reader is never away for longer
ATTRIBUTES = AttributeLane("timestamp", 1024, 16)


@cache
def vector(seed: int) -> bytes:
    """Return a unit vector as the log has it."""
    numbers = np.random.default_rng(seed).standard_normal(DIM)
    return (numbers / np.linalg.norm(numbers)).astype("<f2").tobytes()


class Lane:
    """A lane's workers, dead and alive: what they read, and what they have still to write."""

    def __init__(
        self, rng: random.Random, mode: OrderMode, catalogue: Catalogue, *, embeds: bool
    ) -> None:
        self._rng = rng
        self._mode = mode
        self._catalogue = catalogue
        self._embeds = embeds
        self._positions: dict[str, int] = {}
        self.writes: list[deque[OutgoingMessage]] = []

    def read(self) -> bool:
        """Read a batch from some topics and have its records written some time."""
        unread = [
            message
            for topic, messages in self._catalogue.topics.items()
            for message in messages[self._positions.get(topic, 0) :][: self._rng.randrange(1, 4)]
        ]
        if not unread:
            return False
        topics = {message.topic for message in unread}
        some = set(self._rng.sample(sorted(topics), self._rng.randint(1, len(topics))))
        batch = [message for message in unread if message.topic in some]
        for message in batch:
            self._positions[message.topic] = message.offset + 1
        self.writes.append(deque(self._records(batch)))
        return True

    def rebalance(self) -> None:
        """Go back to an offset that was committed before, and keep what was to be written."""
        for topic, position in self._positions.items():
            self._positions[topic] = max(position - self._rng.randrange(4), 0)

    def write(self) -> OutgoingMessage | None:
        """Return the next record of any of the batches."""
        self.writes = [batch for batch in self.writes if batch]
        return self._rng.choice(self.writes).popleft() if self.writes else None

    def _records(self, batch: list[SourceMessage]) -> list[OutgoingMessage]:
        reads = read_batch(batch, self._mode)
        if self._embeds:
            outcomes = [self._vectors(read) for read in reads]
        else:
            outcomes = [ATTRIBUTES._outcome(read) for read in reads]
        return [index_message(k, e, TOPIC, PARTITIONS) for k, e in newest_records(outcomes)]

    def _vectors(self, read: Any) -> Outcome:
        """Embed as a model does that gives slightly different vectors from batch to batch."""
        product = read.event.product
        if isinstance(product, Offer):
            return Outcome("skipped")
        images = [
            ImageVector(
                image_id=str(n),
                vector=vector(int(read.event.event_id[1:]) * 8 + n * 2 + self._rng.randrange(2)),
                url=image.url or "",
                content_hash="",
            )
            for n, image in enumerate(getattr(product, "images", ()))
        ]
        gone = isinstance(product, Deleted)
        record = Vectors(order=read.order, deleted=gone, model="" if gone else MODEL, images=images)
        return Outcome("indexed", records=[(read.product_id, record, read)])


class History:
    """One run of everything; `heals` off shows what compaction does to an unhealed log."""

    def __init__(self, rng: random.Random, mode: OrderMode, *, heals: bool = True) -> None:
        self._rng = rng
        self._heals = heals
        self._mode = mode
        self.now_s = 0.0
        self._forced_at = 0.0
        self.log = Log()
        self.catalogue = Catalogue(rng)
        self.lanes = [Lane(rng, mode, self.catalogue, embeds=embeds) for embeds in (False, True)]
        self._delayed: deque[OutgoingMessage] = deque()
        self._calm = False
        self.replicas = [self.replica(), self.replica()]

    def truth(self) -> dict[tuple[str, str], Order]:
        """Return the newest order of each product's kinds of record."""
        messages = [m for topic in self.catalogue.topics.values() for m in topic]
        return newest_orders(messages, self._mode)

    def replica(self) -> Replica:
        """Return a worker that begins to read the log as it is now."""
        grace_s = self._rng.uniform(3.0, 10.0)
        append = partial(self._append, set())
        return Replica(
            self.log, lambda: self.now_s, grace_s, append=append, searched=self._interfere
        )

    def run(self, steps: int) -> None:
        """Take random steps, then let everything that is left come, in any order."""
        for _ in range(steps):
            self._step()
        while self._drain():
            self._pass_time()
        for _ in range(5):  # twice the grace of a record and of its heal
            self._force()
            self.now_s += 10.0

    def replayed(self) -> Replica:
        """Compact without mercy, and read what is left into an empty index."""
        self.log.compact(float("inf"))
        fresh = self.replica()
        fresh.read_all()
        return fresh

    def _step(self) -> None:
        rng, draw = self._rng, self._rng.random()
        self._pass_time()
        if draw < 0.25:
            self.catalogue.publish()
        elif draw < 0.43:
            rng.choice(self.lanes).read()
        elif draw < 0.68:
            self._write(rng.choice(self.lanes))
        elif draw < 0.72:
            rng.choice(self.lanes).rebalance()
        elif draw < 0.84:
            rng.choice(self.replicas).read(rng, rng.randint(1, 6))
        elif draw < 0.94:
            replica = rng.choice(self.replicas)
            if rng.random() < 0.7:  # without an end met, hardly anything is due
                replica.read_all()
            self._heal(replica)
        elif draw < 0.98:
            self.log.compact(self.now_s - LAG_S)
        else:
            self.replicas[1] = self.replica()  # the first one lives through everything
            self.replicas[1].read(rng, 1_000_000)  # one partition to its end, and not the other

    def _drain(self) -> bool:
        reads = [lane.read() for lane in self.lanes]
        writes = [self._write(lane) for lane in self.lanes]
        if self._rng.random() < 0.3:
            self._rng.choice(self.replicas).read(self._rng, 4)
        return any(reads) or any(writes) or bool(self._delayed)

    def _pass_time(self) -> None:
        self.now_s += self._rng.uniform(0.0, 4.0)
        if self._delayed and self._rng.random() < 0.2:
            self.log.append(self._delayed.popleft(), self.now_s)
        if self.now_s - self._forced_at > FORCED_S:
            self._force()

    def _force(self) -> None:
        """Have the first replica do its duty without interference: it is alive, after all."""
        self._calm, self._forced_at = True, self.now_s
        for replica in self.replicas:
            replica.read_all()
            self._heal(replica)
            replica.read_all()
        self._calm = False

    def _heal(self, replica: Replica) -> None:
        if self._heals:
            with suppress(ConnectionError):  # as the healer's thread does
                replica.healer.heal()

    def _write(self, lane: Lane) -> bool:
        if (message := lane.write()) is not None:
            self.log.append(message, self.now_s)
        return message is not None

    def _append(self, disturbed: set[bytes | None], message: OutgoingMessage) -> None:
        """Append a heal; once per key and worker it may be lost, or arrive far too late."""
        if self._calm or message.key in disturbed or (draw := self._rng.random()) < 0.6:
            self.log.append(message, self.now_s)
            return
        disturbed.add(message.key)
        if draw < 0.8:
            raise ConnectionError("the broker is away")
        self._delayed.append(message)

    def _interfere(self) -> None:
        """Between a healer's search and its append, let others write and its reader read."""
        if not self._calm:
            for _ in range(self._rng.choice((0, 1, 2, 9))):
                self._write(self._rng.choice(self.lanes))
            for replica in self.replicas:
                replica.read(self._rng, self._rng.choice((0, 3, 20)))
