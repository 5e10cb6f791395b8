"""When a pipeline releases an offset: one behavior, whatever the messages come from."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from streams.ingest.outcome import EventOutcome
from streams.ingest.pipeline import internal_failure
from streams.kafka.batches import Batches
from streams.kafka.consumer_group import Sink
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_forever

MESSAGES = 7


Publish = Callable[[Sequence[SourceMessage], Sequence[EventOutcome]], Awaitable[None]]


class EchoPipeline:
    """Says `indexed` of each message, and fails on a value `poison`."""

    batch = 3

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    async def handle(self, messages: Sequence[SourceMessage]) -> None:
        """Write one outcome per message."""
        if any(message.value == b"poison" for message in messages):
            raise RuntimeError("a defect")
        await self._publish(messages, [EventOutcome("indexed") for _ in messages])

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Write the dead letter."""
        await self._publish([message], [internal_failure("echo", message, error)])


def batches(publish: Publish) -> Sink:
    """Return batches over an `EchoPipeline`."""
    pipeline = EchoPipeline(publish)
    return Batches(pipeline.handle, pipeline.give_up, events=EchoPipeline.batch, size=1000)


class LaneAcksContract:
    """Inherit, and implement `finished`."""

    make: Callable[[Publish], Sink] = staticmethod(batches)

    async def finished(self, values: Sequence[bytes], sink: Sink, done: asyncio.Event) -> int:
        """Run the sink over messages until `done`, stop; return the offset to go on from."""
        raise NotImplementedError

    async def acked(self, values: Sequence[bytes], publish: Publish, done: asyncio.Event) -> int:
        """Run the sink over messages until `done`; return how many offsets it released."""
        return await self.finished(values, self.make(publish), done)

    async def test_everything_is_acknowledged_once_it_is_written(self) -> None:
        """Every message is published once, in its order, and then acknowledged."""
        seen: list[bytes | None] = []
        done = asyncio.Event()

        async def publish(
            messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
        ) -> None:
            assert len(messages) == len(outcomes) <= EchoPipeline.batch
            seen.extend(message.value for message in messages)
            if len(seen) == MESSAGES:
                asyncio.get_running_loop().call_later(0.1, done.set)

        values = [b"%d" % n for n in range(MESSAGES)]
        assert await self.acked(values, publish, done) == MESSAGES
        assert seen == values

    async def test_nothing_is_acknowledged_while_nothing_can_be_written(self) -> None:
        """Stopped in the middle of its attempts, the pipeline leaves all to its successor."""
        tries = 0
        done = asyncio.Event()

        async def publish(_: Sequence[SourceMessage], __: Sequence[EventOutcome]) -> None:
            async def write() -> None:
                nonlocal tries
                tries += 1
                if tries == 3:
                    done.set()
                raise ConnectionError("the broker is away")

            await retry_forever(write, what="a test", sleep=lambda _: asyncio.sleep(0.01))

        assert await self.acked([b"x"] * MESSAGES, publish, done) == 0
        assert tries >= 3

    async def test_a_write_that_succeeds_at_last_is_acknowledged(self) -> None:
        """Failing twice costs two more writes, and no message."""
        tries = written = 0
        done = asyncio.Event()

        async def publish(messages: Sequence[SourceMessage], _: Sequence[EventOutcome]) -> None:
            async def write() -> None:
                nonlocal tries, written
                tries += 1
                if tries < 3:
                    raise ConnectionError("the broker is away")
                written += len(messages)

            await retry_forever(write, what="a test", sleep=lambda _: asyncio.sleep(0.01))
            if written == MESSAGES:
                asyncio.get_running_loop().call_later(0.1, done.set)

        assert await self.acked([b"x"] * MESSAGES, publish, done) == MESSAGES

    async def test_whatever_publishing_raises_the_loop_goes_on(self) -> None:
        """A defect of ours costs a pause; the batch is published again, and then acknowledged."""
        tries = 0
        done = asyncio.Event()

        async def publish(_: Sequence[SourceMessage], __: Sequence[EventOutcome]) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise RuntimeError("a defect")
            asyncio.get_running_loop().call_later(0.2, done.set)

        assert await self.acked([b"x"] * 3, publish, done) == 3
        assert tries == 2

    async def test_what_cannot_be_published_is_dead_lettered_alone(self) -> None:
        """An error of ours that stays: three tries, its neighbors written, all acknowledged."""
        seen: dict[bytes | None, EventOutcome] = {}
        alone = 0
        done = asyncio.Event()

        async def publish(
            messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
        ) -> None:
            nonlocal alone
            bad = any(m.value == b"bad" and not o.faults
                      for m, o in zip(messages, outcomes, strict=True))  # fmt: skip
            if bad:
                alone += len(messages) == 1
                raise RuntimeError("a defect")
            seen.update(
                (message.value, outcome)
                for message, outcome in zip(messages, outcomes, strict=True)
            )
            if len(seen) == 4:
                asyncio.get_running_loop().call_later(0.1, done.set)

        assert await self.acked([b"a", b"bad", b"b", b"c"], publish, done) == 4
        assert [fault.code for fault in seen[b"bad"].faults] == ["internal"]
        assert {value for value, out in seen.items() if out.label == "indexed"} == {
            b"a",
            b"b",
            b"c",
        }
        assert alone == 3

    async def test_a_message_that_breaks_the_pipeline_is_dead_lettered_alone(self) -> None:
        """Its neighbors in the batch are indexed, and all are acknowledged."""
        seen: dict[bytes | None, EventOutcome] = {}
        done = asyncio.Event()

        async def publish(
            messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
        ) -> None:
            seen.update(
                (message.value, outcome)
                for message, outcome in zip(messages, outcomes, strict=True)
            )
            if len(seen) == 4:
                asyncio.get_running_loop().call_later(0.1, done.set)

        assert await self.acked([b"a", b"poison", b"b", b"c"], publish, done) == 4
        assert [fault.code for fault in seen[b"poison"].faults] == ["internal"]
        assert {value for value, out in seen.items() if out.label == "indexed"} == {
            b"a",
            b"b",
            b"c",
        }
