"""Notices when this repository's code stops, resumes or moves Faust's consumer.

In Faust 0.15.3 that loses messages (docs/adr/0004-faust.md). Faust itself does so in a rebalance,
so it is the caller that counts.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MOVES = (
    "pause_partitions", "resume_partitions", "stop_flow", "resume_flow",
    "seek", "seek_wait", "seek_to_committed", "perform_seek",
)  # fmt: skip
FAUST = ("faust", "mode", "aiokafka")


@contextmanager
def guarded_consumers() -> Iterator[list[str]]:
    """Watch every Faust consumer meanwhile; give the list of the calls that others made."""
    from faust.transport.consumer import Consumer, ConsumerThread, ThreadDelegateConsumer
    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
    from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer

    classes = (
        Consumer, ThreadDelegateConsumer, AIOKafkaConsumer, ConsumerThread, AIOKafkaConsumerThread
    )  # fmt: skip
    calls: list[str] = []
    former = [(c, name, vars(c)[name]) for c in classes for name in MOVES if name in vars(c)]
    for owner, name, method in former:
        setattr(owner, name, _watched(method, calls))
    try:
        yield calls
    finally:
        for owner, name, method in former:
            setattr(owner, name, method)


def _watched(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def watched(*args: Any, **kwargs: Any) -> Any:
        caller: str = sys._getframe(1).f_globals.get("__name__", "")
        if caller.partition(".")[0] not in FAUST:
            calls.append(f"{caller} called {method.__name__}")
        return method(*args, **kwargs)

    return watched
