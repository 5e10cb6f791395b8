"""Both pipelines at their edges: what they refuse, what they give up, and on which thread."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from streams.ingest import pipeline as module
from streams.ingest.latest import LatestOrder
from streams.ingest.outcome import EventOutcome, decode
from streams.ingest.pipeline import LARGE, AttributePipeline, EmbeddingPipeline
from streams.kafka.batches import Batches
from streams.kafka.messages import SourceMessage
from tests.support.lane_events import Written, message
from tests.support.waiting import until


class NoImages:
    """The stage of events that must not come to it."""

    async def embed(self, *_: Any) -> Any:
        """Fail the test."""
        raise AssertionError


def embedding(written: Written) -> EmbeddingPipeline:
    """Return an embedding pipeline that embeds nothing."""
    return EmbeddingPipeline(
        "timestamp",
        NoImages(),  # type: ignore[arg-type]
        LatestOrder(),
        written,  # type: ignore[arg-type]
        delays_s=(),
    )


async def test_a_retry_that_no_worker_wrote_is_dead_lettered() -> None:
    """Nobody knows which event it is; it is kept as it stands."""
    written, foreign = Written(), message(7, "product-created")
    await embedding(written).handle_retry(foreign)
    outcome = written.of(foreign)
    assert outcome.label == "dead_lettered"
    assert [(fault.stage, fault.code) for fault in outcome.faults] == [("decode", "retry_invalid")]


@pytest.mark.parametrize(("title", "thread"), [("T", "MainThread"), ("T" * LARGE, "asyncio_")])
async def test_a_large_event_is_decoded_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, title: str, thread: str
) -> None:
    """A small one is decoded on it: the way to a thread would take longer."""
    seen = []

    def noting(source: SourceMessage, mode: Any, *, retried: bool) -> Any:
        seen.append(threading.current_thread().name.rstrip("0123456789"))
        return decode(source, mode, retried=retried)

    monkeypatch.setattr(module, "decode", noting)
    written = Written()
    event = message(0, "product-offer-updated", title=title)
    await embedding(written).handle(event)
    assert seen == [thread]
    assert len(written.outcomes) == 1


async def test_what_cannot_be_written_is_dead_lettered_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch of the attribute pipeline is taken apart; its neighbors are written."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)

    class Refusing(Written):
        """Raises for one product, but for its dead letter."""

        async def write(
            self, messages: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
        ) -> None:
            for source, outcome in zip(messages, outcomes, strict=True):
                if source.key == b"bad" and not outcome.faults:
                    raise RuntimeError("a defect")
            await super().write(messages, outcomes)

    written = Refusing()
    attributes = AttributePipeline("timestamp", written, inline_limit=1)  # type: ignore[arg-type]
    batches = Batches(attributes.handle, attributes.give_up, events=10, size=10**6)
    events = [message(n, "product-created", name) for n, name in enumerate(["a", "bad", "b"])]
    released: list[int] = []
    for event in events:
        batches.take(event, partial(released.append, event.offset))
    await until(lambda: len(released) == 3)
    await batches.close(1.0)
    assert [written.of(event).label for event in events] == ["indexed", "dead_lettered", "indexed"]
    assert [fault.code for fault in written.of(events[1]).faults] == ["internal"]
    assert released == [0, 1, 2]
    assert len(written.outcomes) == 3
