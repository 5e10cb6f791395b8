"""A process that dies after so many steps, between a topic and a log in memory.

Steps are: an event is read, one record is written, one event is acknowledged.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from streams.ingest.outcome import EventOutcome, index_message, latest_records
from streams.kafka.consumer_group import Sink
from streams.kafka.in_order import OrderedAcks
from streams.kafka.messages import SourceMessage
from tests.support.log_replica import PARTITIONS, TOPIC, Log


class Crash(BaseException):
    """The end of the process; no code of the pipeline's may catch it."""


@dataclass
class Machine:
    """A topic, a log, and a process that may take only so many steps more."""

    messages: list[SourceMessage]
    log: Log = field(default_factory=Log)
    acked: int = 0  # events from the first on
    steps: int = 0
    last_step: float = float("inf")
    over: asyncio.Event = field(default_factory=asyncio.Event)  # crashed, or all acknowledged

    def step(self) -> None:
        """Take a step, or die before it."""
        if self.steps >= self.last_step:
            self.over.set()
            raise Crash
        self.steps += 1

    async def write(self, _: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]) -> None:
        """Write the records one by one."""
        for key, entry in latest_records(outcomes):
            self.step()
            await asyncio.sleep(0)  # others may go on meanwhile
            self.log.append(index_message(key, entry, TOPIC, PARTITIONS), 0.0)

    def ack(self, offset: int) -> None:
        """Note an acknowledgement; they come in order."""
        self.step()
        assert offset == self.acked
        self.acked += 1
        if self.acked == len(self.messages):
            self.over.set()


async def live(machine: Machine, sink: Sink, *, hasty: bool = False) -> None:
    """Hand the sink what is not committed until all is, or raise Crash.

    A `hasty` reader takes a message for finished once it is read, as an automatic commit does.
    """
    feeding = asyncio.create_task(_feed(machine, sink, hasty=hasty))
    await machine.over.wait()
    feeding.cancel()
    sink.cancel()
    with contextlib.suppress(asyncio.CancelledError, Crash):
        await feeding
    if machine.steps >= machine.last_step:
        raise Crash


async def _feed(machine: Machine, sink: Sink, *, hasty: bool) -> None:
    in_order = OrderedAcks()
    for message in machine.messages[machine.acked :]:
        while not sink.has_room:  # noqa: ASYNC110 - as the reader looks, now and then
            await asyncio.sleep(0)
        machine.step()
        finished = in_order.add(("all", 0), partial(machine.ack, message.offset))
        if hasty:
            finished()
        sink.take(message, (lambda: None) if hasty else finished)
