"""The lanes' acknowledgements on a stream in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from streams.lanes.lane import run_lane
from tests.contract.lane_acks import EchoLane, LaneAcksContract, Publish


class FakeStream:
    """Batches as Faust's `noack_take` gives them, and a count of what was acknowledged."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.acks: list[int] = []
        self._values = values

    async def noack_take(self, size: int, within: float) -> AsyncIterator[list[Any]]:
        """Yield batches, then wait as a quiet topic does."""
        assert within > 0
        for start in range(0, len(self._values), size):
            yield [
                SimpleNamespace(
                    message=SimpleNamespace(
                        topic="t",
                        partition=0,
                        offset=start + n,
                        timestamp=1.5,
                        key=b"k",
                        value=value,
                        headers=[("h", b"1")],
                    )
                )
                for n, value in enumerate(self._values[start : start + size])
            ]
        await asyncio.Event().wait()

    async def ack(self, event: Any) -> None:
        """Note an acknowledgement."""
        self.acks.append(event.message.offset)


class TestLaneAcksInMemory(LaneAcksContract):
    """The contract without a broker."""

    async def acked(self, values: Sequence[bytes], publish: Publish, done: asyncio.Event) -> int:
        """Run until done, cancel; each offset must have been acknowledged at most once."""
        stream = FakeStream(values)
        lane = asyncio.create_task(run_lane(stream, EchoLane(), publish))
        await asyncio.wait_for(done.wait(), 10)
        lane.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await lane
        assert stream.acks == sorted(set(stream.acks))
        return len(stream.acks)
