"""A lane that dies between any two of its steps: its successor reads again, and nothing differs.

Steps are: a batch is read, one record is written, one event is acknowledged. What counts after a
crash is what was committed, which lags behind what was acknowledged.
"""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.events import Deleted, Offer
from schemas.records import ImageVector, Vectors, decode_record
from streams.index_records import engine_record
from streams.lanes.attributes import AttributeLane
from streams.lanes.lane import Lane, Outcome, index_message, newest_records, read_batch, run_lane
from streams.messages import SourceMessage
from streams.order import OrderMode
from tests.log_catalogue import PRODUCTS, Catalogue
from tests.log_history import vector
from tests.log_replica import DIM, MODEL, PARTITIONS, TOPIC, Log
from visualsearch.index.exact import ExactIndex

MODES: tuple[OrderMode, OrderMode] = ("timestamp", "explicit")
EVENTS, BATCH = 20, 5


class Crash(BaseException):
    """The end of the process; no code of the lane's may catch it."""


class Embeds:
    """An embedding lane without fetching: the same event gives the same vectors."""

    name = "embedding"
    batch = BATCH

    def __init__(self, mode: OrderMode) -> None:
        self._mode = mode

    async def process(self, messages: Sequence[SourceMessage]) -> list[Outcome]:
        """Return a `vectors` record of each event but offers."""
        return [self._outcome(read) for read in read_batch(messages, self._mode)]

    def _outcome(self, read: Any) -> Outcome:
        product = read.event.product
        if isinstance(product, Offer):
            return Outcome("skipped")
        number = int(read.event.event_id[1:])
        images = [
            ImageVector(image_id=str(n), vector=vector(8 * number + n), url="", content_hash="")
            for n in range(len(getattr(product, "images", ())))
        ]
        gone = isinstance(product, Deleted)
        record = Vectors(order=read.order, deleted=gone, model="" if gone else MODEL, images=images)
        return Outcome("indexed", records=[(read.product_id, record, read)])


@dataclass
class Machine:
    """A topic, a log, and a process that may take only so many steps more."""

    messages: list[SourceMessage]
    log: Log = field(default_factory=Log)
    acked: int = 0  # events from the first on
    steps: int = 0
    last_step: float = float("inf")

    def step(self) -> None:
        """Take a step, or die before it."""
        if self.steps >= self.last_step:
            raise Crash
        self.steps += 1


class Stream:
    """The events after what is committed, in batches as Faust's `noack_take` gives them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._start = machine.acked

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:
        """Yield batches until there is nothing left."""
        assert within > 0
        for start in range(self._start, len(self._machine.messages), size):
            self._machine.step()
            yield [
                SimpleNamespace(message=SimpleNamespace(**_fields(message)))
                for message in self._machine.messages[start : start + size]
            ]

    async def ack(self, event: Any) -> None:
        """Note an acknowledgement; they come in order."""
        self._machine.step()
        assert event.message.offset == self._machine.acked
        self._machine.acked += 1


class HastyStream(Stream):
    """What `take` would do: a batch is acknowledged before its records are written."""

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:
        """Acknowledge, then yield."""
        async for events in super().noack_take(size, within):
            for event in events:
                await super().ack(event)
            yield events

    async def ack(self, event: Any) -> None:
        """Have done so before."""


def _fields(message: SourceMessage) -> dict[str, Any]:
    """Return a message as Faust has it: the timestamp in seconds."""
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp_ms / 1000,
        "key": message.key,
        "value": message.value,
        "headers": list(message.headers),
    }


async def live(machine: Machine, lane: Lane, stream_type: type[Stream]) -> None:
    """Run the lane's loop in a process that may die; raises Crash when it did."""

    async def publish(_: Sequence[SourceMessage], outcomes: Sequence[Outcome]) -> None:
        for key, entry in newest_records(outcomes):
            machine.step()
            machine.log.append(index_message(key, entry, TOPIC, PARTITIONS), 0.0)

    await run_lane(stream_type(machine), lane, publish)


async def steps_and_state(
    lane: Lane,
    messages: list[SourceMessage],
    crashes: Sequence[int] = (),
    stream_type: type[Stream] = Stream,
    rng: random.Random | None = None,
) -> tuple[int, dict[str, Any]]:
    """Run to the end, dying after so many steps of each life; return all steps and the state."""
    machine = Machine(messages)
    for last_step in crashes:
        machine.last_step = machine.steps + last_step
        committed = machine.acked
        with pytest.raises(Crash):
            await live(machine, lane, stream_type)
        if rng is not None:  # the last commit may be older than the last acknowledgement
            machine.acked = rng.randint(committed, machine.acked)
    machine.last_step = float("inf")
    await live(machine, lane, stream_type)
    assert machine.acked == len(messages)
    return machine.steps, replayed(machine.log)


def replayed(log: Log) -> dict[str, Any]:
    """Return what the exact twin makes of a log."""
    twin = ExactIndex(MODEL, DIM)
    for entry in (entry for entries in log.entries for entry in entries):
        twin.apply([engine_record(*decode_record(entry.key(), entry.value()))])
    return {
        name: (twin.product(name), [(i, row.tobytes()) for i, row in twin.vectors_of(name)])
        for name in PRODUCTS
    }


def lane_of(kind: str, mode: OrderMode) -> Lane:
    """Return a lane; no picture is inline, so that none needs a store."""
    if kind == "embedding":
        return Embeds(mode)
    return AttributeLane(mode, None, 1024, BATCH)  # type: ignore[arg-type]


def events(seed: str) -> list[SourceMessage]:
    """Return random events of a few products, in one topic and in an order of its own."""
    rng = random.Random(seed)
    catalogue = Catalogue(rng)
    for _ in range(EVENTS):
        catalogue.publish()
    found = [message for messages in catalogue.topics.values() for message in messages]
    rng.shuffle(found)
    return [replace(message, topic="all", offset=n) for n, message in enumerate(found)]


@pytest.mark.parametrize("kind", ["attributes", "embedding"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_crash_between_any_two_steps_changes_nothing(kind: str, mode: OrderMode) -> None:
    """Once at every step, and a few times in a row at random ones."""
    for seed in range(4):
        messages, lane = events(f"{mode}-{seed}"), lane_of(kind, mode)
        steps, straight = await steps_and_state(lane, messages)
        assert steps > EVENTS
        for last_step in range(steps):
            _, state = await steps_and_state(lane, messages, [last_step])
            assert state == straight, f"seed {seed}: died after step {last_step}"
        rng = random.Random(seed)
        for _ in range(10):
            crashes = [rng.randrange(8) for _ in range(3)]
            _, state = await steps_and_state(lane, messages, crashes, rng=rng)
            assert state == straight, f"seed {seed}: died after {crashes}"


async def test_acknowledging_before_writing_loses_records() -> None:
    """Or the test above would show nothing."""
    messages, lane = events("hasty"), lane_of("attributes", "timestamp")
    steps, straight = await steps_and_state(lane, messages, stream_type=HastyStream)
    wrong = 0
    for last_step in range(steps):
        _, state = await steps_and_state(lane, messages, [last_step], HastyStream)
        wrong += state != straight
    assert wrong > steps // 10
