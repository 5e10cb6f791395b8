"""A pipeline that dies between any two of its steps, and its successor: nothing differs.

What counts after a crash is what was committed, which lags behind what was acknowledged.
"""

import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from streams.images.errors import FetchedImage
from streams.indexer.records import to_engine_record
from streams.ingest.order import OrderMode
from streams.ingest.pipeline import AttributePipeline
from streams.kafka.batches import Batches
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Window
from streams.model.model import Model
from tests.support.crashing import Crash, Machine, live
from tests.support.fakes import DIM, FakeEncoder, jpeg
from tests.support.lane_events import embedding_pipeline, fake_model
from tests.support.log_catalogue import PRODUCTS, Catalogue
from tests.support.log_replica import Log
from visualsearch.contracts.records import decode_record
from visualsearch.index.exact import ExactIndex

MODES: tuple[OrderMode, OrderMode] = ("timestamp", "explicit")
EVENTS, AT_ONCE = 20, 5


class Pictures:
    """A host that has an image at each address."""

    async def fetch(self, url: str, **_: float | None) -> FetchedImage:
        """Return the image."""
        return FetchedImage(_picture(int(url.rpartition("/")[2])))


@cache
def _picture(number: int) -> bytes:
    return jpeg((number * 5 % 256, number // 50 * 60, 90))


Life = Callable[[Machine], Awaitable[None]]
"""The work of one process; it ends by itself or raises Crash."""


def attributes(mode: OrderMode, *, hasty: bool = False) -> Life:
    """Return the attribute pipeline, a batch at a time. No image is inline: none is stored."""

    async def one(machine: Machine) -> None:
        pipeline = AttributePipeline(mode, machine, inline_limit=1024)  # type: ignore[arg-type]
        sink = Batches(pipeline.handle, pipeline.give_up, events=AT_ONCE, size=1_000_000)
        await live(machine, sink, hasty=hasty)

    return one


def embedding(mode: OrderMode, model: Model) -> Life:
    """Return the embedding pipeline, events side by side; its memory of the latest dies, too."""

    async def one(machine: Machine) -> None:
        pipeline = embedding_pipeline(mode, model, Pictures(), machine)
        window = Window(pipeline.handle, pipeline.give_up, events=AT_ONCE, size=1_000_000)
        await live(machine, window)

    return one


LIVES: dict[str, Callable[[OrderMode, Model], Life]] = {
    "attributes": lambda mode, _: attributes(mode),
    "embedding": embedding,
}


async def steps_and_state(
    life: Life,
    messages: list[SourceMessage],
    crashes: Sequence[int] = (),
    rng: random.Random | None = None,
) -> tuple[int, dict[str, Any]]:
    """Run to the end, dying after so many steps of each life; return all steps and the state."""
    machine = Machine(messages)
    for last_step in crashes:
        machine.last_step = machine.steps + last_step
        committed = machine.acked
        with contextlib.suppress(Crash):  # side by side, a run may take a step less
            await life(machine)
        machine.over.clear()
        if rng is not None:  # the last commit may be older than the last acknowledgement
            machine.acked = rng.randint(committed, machine.acked)
    machine.last_step = float("inf")
    if machine.acked < len(messages):
        await life(machine)
    assert machine.acked == len(messages)
    return machine.steps, replayed(machine.log)


def replayed(log: Log) -> dict[str, Any]:
    """Return what the exact twin makes of a log."""
    twin = ExactIndex(FakeEncoder.model_id, DIM)
    for entry in (entry for entries in log.entries for entry in entries):
        twin.apply([to_engine_record(*decode_record(entry.key(), entry.value()))])
    return {
        name: (twin.product(name), [(i, row.tobytes()) for i, row in twin.vectors_of(name)])
        for name in PRODUCTS
    }


def random_events(seed: str) -> list[SourceMessage]:
    """Return random events of a few products, in one topic and in an order of its own."""
    rng = random.Random(seed)
    catalogue = Catalogue(rng)
    for _ in range(EVENTS):
        catalogue.publish()
    found = [message for messages in catalogue.topics.values() for message in messages]
    rng.shuffle(found)
    return [replace(message, topic="all", offset=n) for n, message in enumerate(found)]


@pytest.fixture
def model() -> Iterator[Model]:
    """Give a model that outlives the pipelines."""
    model = fake_model()
    yield model
    model.close()


@pytest.mark.parametrize("pipeline", LIVES)
@pytest.mark.parametrize("mode", MODES)
async def test_a_crash_between_any_two_steps_changes_nothing(
    pipeline: str, mode: OrderMode, model: Model
) -> None:
    """Once at every step, and a few times in a row at random ones."""
    life = LIVES[pipeline](mode, model)
    for seed in range(2):
        messages = random_events(f"{mode}-{seed}")
        steps, straight = await steps_and_state(life, messages)
        assert steps > EVENTS
        for last_step in range(steps):
            _, state = await steps_and_state(life, messages, [last_step])
            assert state == straight, f"seed {seed}: died after step {last_step}"
        rng = random.Random(seed)
        for _ in range(10):
            crashes = [rng.randrange(8) for _ in range(3)]
            _, state = await steps_and_state(life, messages, crashes, rng)
            assert state == straight, f"seed {seed}: died after {crashes}"


async def test_committing_what_is_read_loses_records() -> None:
    """Or the test above would show nothing."""
    messages = random_events("hasty")
    hasty = attributes("timestamp", hasty=True)
    steps, straight = await steps_and_state(hasty, messages)
    wrong = 0
    for last_step in range(steps):
        _, state = await steps_and_state(hasty, messages, [last_step])
        wrong += state != straight
    assert wrong > steps // 10
