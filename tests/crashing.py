"""A process that dies after so many steps, between a topic and a log in memory.

Steps are: an event or a batch is read, one record is written, one event is acknowledged.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from streams.lanes.lane import Outcome, index_message, newest_records
from streams.messages import SourceMessage
from tests.log_replica import PARTITIONS, TOPIC, Log


class Crash(BaseException):
    """The end of the process; no code of the lane's may catch it."""


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

    async def publish(self, _: Sequence[SourceMessage], outcomes: Sequence[Outcome]) -> None:
        """Write the records one by one."""
        for key, entry in newest_records(outcomes):
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


class Stream:
    """The events after what is committed, both ways that lanes ask for them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._start = machine.acked

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:
        """Yield batches until there is nothing left."""
        assert within > 0
        for start in range(self._start, len(self._machine.messages), size):
            self._machine.step()
            yield [self._event(message) for message in self._machine.messages[start : start + size]]

    async def ack(self, event: Any) -> None:
        """Acknowledge an event of a batch."""
        event.ack()

    def noack(self) -> "Stream":
        """Return a stream of single events."""
        return self

    async def events(self) -> AsyncIterator[Any]:
        """Yield events until there is nothing left."""
        for message in self._machine.messages[self._start :]:
            self._machine.step()
            yield self._event(message)

    def _event(self, message: SourceMessage) -> Any:
        """Return an event as Faust has it: the timestamp in seconds."""
        fields = {name: getattr(message, name) for name in ("topic", "partition", "offset", "key")}
        faust = SimpleNamespace(
            **fields,
            value=message.value,
            timestamp=message.timestamp_ms / 1000,
            headers=list(message.headers),
            generation_id=1,
        )
        return SimpleNamespace(message=faust, ack=partial(self._machine.ack, message.offset))


class HastyStream(Stream):
    """What `take` would do: a batch is acknowledged before its records are written."""

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:
        """Acknowledge, then yield."""
        async for events in super().noack_take(size, within):
            for event in events:
                event.ack()
            yield events

    async def ack(self, event: Any) -> None:
        """Have done so before."""
