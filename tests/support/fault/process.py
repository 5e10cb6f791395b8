"""A worker, or fsck, in a process of its own, as the command line starts them, and five additions.

A stand-in for the model (a start takes two seconds, not ten), a trap that can be set at any named
point, a clock that can be stepped, image hosts that are soon asked again, and an index so small
that hundreds of products make it put rows on lists and swap graphs. What the test says comes line
by line on stdin; when that ends, the test is gone and so is the worker.

Run as `python -m tests.support.fault.process worker|fsck …` with the settings in the environment.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
from typing import Any

NOBODY_LEFT = 3


class Clock:
    """Stands in for `time.time`, some seconds off."""

    def __init__(self) -> None:
        self._real = time.time
        self.off_s = 0.0

    def __call__(self) -> float:
        """Return the seconds since the epoch, as this process is made to believe."""
        return self._real() + self.off_s


def tell(text: str) -> None:
    """Say something to the test; written at once and whole, whatever happens next."""
    os.write(1, f"{text}\n".encode())


def main() -> None:
    """Run the command that the arguments name."""
    import visualsearch
    from tests.support.fakes import FakeEncoder

    visualsearch.load_encoder = lambda *_, **__: FakeEncoder()  # type: ignore[assignment]
    if sys.argv[1] == "worker":
        worker()
    else:
        from streams.cli import main as command_line

        command_line()


def worker() -> None:
    """Run a worker until it is told to stop, or killed."""
    clock = Clock()
    time.time = clock  # before the clients are imported: some of them keep the function
    from streams.cli.options import log_to_stderr
    from streams.config.settings import load_settings
    from streams.worker.worker import run
    from tests.support.fault.points import Trap

    log_to_stderr(verbose=False)
    trap = Trap(tell)
    trap.install()
    _tell_of_gaps()
    _shrink_the_index()
    _hurry_the_hosts()
    threading.Thread(target=_listen, args=(trap, clock), name="test", daemon=True).start()
    faulthandler.register(signal.SIGUSR1)  # `kill -USR1`: where does it hang?
    tell("installed")
    run(load_settings(), frozenset({"ingest", "search"}), lambda port: tell(f"ready {port}"))


def _tell_of_gaps() -> None:
    """Tell when a reader is not given every offset, from the committed one on.

    Nothing compacts the topics of this test: what is left out was read and thrown away.
    """
    from streams.kafka.consumer_group import GroupConsumer

    read = GroupConsumer._poll_batch
    following: dict[Any, int] = {}

    def told(self: Any, consumer: Any) -> Any:
        found = read(self, consumer)
        for epoch, message in found:
            part = (self.group, epoch, message.topic, message.partition)
            wanted = following.get(part, message.offset)
            if message.offset != wanted:
                tell(f"gap {part} {wanted}-{message.offset - 1}, at {time.monotonic():.3f}")
            following[part] = message.next_offset
        return found

    GroupConsumer._poll_batch = told  # type: ignore[method-assign]


def _shrink_the_index() -> None:
    """Have the index do with hundreds of rows what it does with a hundred thousand."""
    from functools import partial

    from streams.indexer import engine as indexing
    from visualsearch.engine import Layout

    small = {"chunk_rows": 1024, "segment_rows": 256, "piece_rows": 64, "coder_rows": 256}
    indexing.Layout = partial(Layout, **small)  # type: ignore[assignment,misc]


def _hurry_the_hosts() -> None:
    """Ask a host that is down every two seconds, and give up in minutes what takes a week."""
    from streams.images import circuit_breaker as hosts
    from streams.ingest import retry

    hosts.LONGEST_BREAK_S = 2.0
    retry.UNASKED_S = 120.0


def _listen(trap: Any, clock: Clock) -> None:
    """Do what the test says: `trap PASSES SIGNAL POINT` or `clock SECONDS`."""
    for line in sys.stdin:
        order, _, rest = line.strip().partition(" ")
        if order == "trap":
            passes, sign, point = rest.split(" ", 2)
            trap.set(point, int(passes), signal.Signals[sign])
        elif order == "clock":
            clock.off_s = float(rest)
    os._exit(NOBODY_LEFT)


if __name__ == "__main__":
    main()
