"""The named points between any two steps of a worker, and the trap that kills it at one of them.

The product knows nothing of this: its functions are wrapped from outside, in the worker's own
process. A function that is no longer there fails the worker's start, aloud.
"""

import functools
import inspect
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from streams.indexer.healer import HEALED
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import DeliveryCallback, SendError
from visualsearch.snapshot.folder import WRITING

KINDS = {"index-log": "record", "product-retry": "retry", "dead-letters": "dead letter"}


def kind_of(message: OutgoingMessage) -> str:
    """Return what a message is to the worker that writes it."""
    if any(name == HEALED for name, _ in message.headers):
        return "heal"
    return next((kind for end, kind in KINDS.items() if message.topic.endswith(end)), "answer")


def _writes(kind: str) -> Callable[..., bool]:
    return lambda _, message, __: kind_of(message) == kind


def _moves(reader: Any, epoch: int) -> bool:
    """Return whether partitions were taken away and what is in work is about to be dropped."""
    return bool(epoch != reader._epoch)


def _has_news(reader: Any, _: Any, **__: Any) -> bool:
    return bool(reader._done != reader._committed)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a worker: the function that does it, and when a worker can be caught at it.

    A `delivered` step is given who hears of its delivery, which is a moment of its own. `passes` is
    how often a worker may go through before the trap closes: seldom steps are met the first time.
    """

    name: str
    target: str  # module:Class.function
    passes: int = 20
    concerns: Callable[..., bool] = lambda *_, **__: True
    delivered: bool = False
    life: Literal["start", "work", "stop"] = "work"

    @property
    def points(self) -> tuple[str, ...]:
        """The moments of this step that have a name."""
        moments = ("before", "after", "delivered") if self.delivered else ("before", "after")
        return tuple(f"{self.name}: {moment}" for moment in moments)


def _names_a_snapshot(here: Any, _: Any) -> bool:
    return WRITING in str(here)


PRODUCE = "visualsearch.client.producer:Producer._produce"
STEPS = (
    Step("join a group", "streams.kafka.consumer_group:GroupConsumer._join", 2, life="start"),
    Step("join the query group", "streams.searcher.faust_app:QueryApp.start", 1, life="start"),
    Step("read", "streams.kafka.consumer_group:GroupConsumer._poll_batch"),
    Step("rebalance", "streams.kafka.consumer_group:GroupConsumer._start_epoch", 1, _moves),
    Step("store a picture", "streams.images.blobs:BlobStore.put"),
    Step("fetch", "streams.images.fetcher:Fetcher.fetch"),
    Step("embed", "tests.support.fakes:FakeEncoder.embed"),
    Step("write a record", PRODUCE, 40, _writes("record"), delivered=True),
    Step("write a dead letter", PRODUCE, 3, _writes("dead letter"), delivered=True),
    Step("write a retry", PRODUCE, 3, _writes("retry"), delivered=True),
    Step("try again", "streams.ingest.pipeline:EmbeddingPipeline.handle_retry", 3),
    Step("commit", "streams.kafka.consumer_group:GroupConsumer._commit", 4, _has_news),
    Step("apply", "visualsearch.engine:Engine.apply"),
    Step("heal the log", PRODUCE, 3, _writes("heal"), delivered=True),
    Step("take a snapshot", "streams.snapshots.take:SnapshotTaker.take", 2),
    Step("freeze the index", "visualsearch.snapshot.copying:SnapshotCopy.freeze", 2),
    Step("copy the products", "visualsearch.snapshot.copying:SnapshotCopy.products", 2),
    Step("copy the vectors", "visualsearch.snapshot.copying:SnapshotCopy.vectors", 2),
    Step("fsync a snapshot", "visualsearch.snapshot.write:sync", 6),
    Step("rename a snapshot", "pathlib:Path.rename", 2, _names_a_snapshot),
    Step("prune snapshots", "streams.snapshots.take:prune", 2),
    Step("upload a file", "streams.snapshots.store:SnapshotStore._put", 8),
    Step("prune the store", "streams.snapshots.store:SnapshotStore.prune", 2),
    Step("choose a snapshot", "streams.snapshots.choice:SnapshotChooser.choose", 1, life="start"),
    Step("restore", "streams.snapshots.restore:restore", 1, life="start"),
    Step("replay", "streams.indexer.reader:LogReader.start", 1, life="start"),
    Step("swap graphs", "streams.indexer.engine:trim_memory", 2),
    Step("stop", "streams.worker.worker:Worker.stop", 1, life="stop"),
    Step("leave a group", "streams.kafka.consumer_group:GroupConsumer.close", 2, life="stop"),
    Step("leave the query group", "streams.searcher.faust_app:QueryApp.stop", 1, life="stop"),
)
POINTS = {point: step for step in STEPS for point in step.points}


class Trap:
    """Sends this process a signal when it has passed a point so many times; set from outside."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._point: str | None = None
        self._left = 0
        self._signal = signal.SIGKILL

    def set(self, point: str, passes: int, sign: signal.Signals) -> None:
        """Close at the given pass of a point, the first being 1."""
        with self._lock:
            self._point, self._left, self._signal = point, passes, sign

    def passed(self, point: str) -> None:
        """Note that the process is at a point; at the one of the trap it may not go on."""
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            if self._left > 0:
                return
            self._point = None
            self._report(f"hit {self._signal.name} {point}")
        os.kill(os.getpid(), self._signal)

    def install(self) -> None:
        """Wrap the function of every step. Raises AttributeError for one that is gone."""
        for step in STEPS:
            module, _, path = step.target.partition(":")
            owner: Any = import_module(module)
            *parents, name = path.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            setattr(owner, name, self._wrapped(step, getattr(owner, name)))

    def _wrapped(self, step: Step, function: Callable[..., Any]) -> Callable[..., Any]:
        before, after, *delivered = step.points

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def around(*args: Any, **options: Any) -> Any:
                self.passed(before)
                result = await function(*args, **options)
                self.passed(after)
                return result

            return around

        def hearing(told: DeliveryCallback) -> DeliveryCallback:
            def first(error: SendError | None) -> None:
                if error is None:
                    self.passed(delivered[0])
                told(error)

            return first

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if not step.concerns(*args, **options):
                return function(*args, **options)
            self.passed(before)
            if delivered:  # whoever waits has not been told yet
                *others, told = args
                args = (*others, hearing(told))
            result = function(*args, **options)
            self.passed(after)
            return result

        return call
