"""A sink fed from memory, as a reader does it."""

import asyncio
from collections.abc import Iterable
from functools import partial

from streams.kafka.consumer_group import Sink
from streams.kafka.in_order import InOrder
from streams.kafka.messages import SourceMessage


class Feeder:
    """Hands messages to a sink and notes, in order, which offsets it released."""

    def __init__(self, sink: Sink) -> None:
        self.released: list[int] = []
        self._sink = sink
        self._in_order = InOrder()

    async def feed(self, values: Iterable[bytes]) -> None:
        """Give messages of one partition, from offset 0 on, each when there is room."""
        for offset, value in enumerate(values):
            while not self._sink.has_room:  # noqa: ASYNC110 - as the reader looks, now and then
                await asyncio.sleep(0.001)
            message = SourceMessage("t", 0, offset, 1500, b"k", value)
            done = partial(self.released.append, offset)
            self._sink.take(message, self._in_order.add(("t", 0), done))

    def rebalance(self) -> None:
        """Take the partition away."""
        self._sink.cancel()
        self._in_order.forget()


class InMemory:
    """`finished` of the contracts, without a broker."""

    async def finished(self, values: Iterable[bytes], sink: Sink, done: asyncio.Event) -> int:
        """Feed, wait until done, stop as a worker does."""
        feeder = Feeder(sink)
        feeding = asyncio.create_task(feeder.feed(values))
        await asyncio.wait_for(done.wait(), 10)
        await sink.close(0.3)
        feeding.cancel()  # a closed sink has no room any more
        await asyncio.sleep(0.01)  # what was stopped in the middle ends, and must release nothing
        assert feeder.released == list(range(len(feeder.released)))
        return len(feeder.released)
