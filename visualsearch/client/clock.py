"""The brokers' clock, as a worker knows it from what it sends them."""

import time
from collections import deque
from collections.abc import Callable

KEPT = 10  # measurements: the drift of a clock within as many heartbeats is microseconds
STAMP_S = 0.001  # a time stamp is cut to milliseconds


class BrokerClock:
    """Tells the time of the brokers, which stamp the requests that a worker gets.

    A measurement is a message that a broker stamped between its sending and its acknowledgement,
    so it bounds how far the broker's clock is from ours. The tightest of the last ten counts.

    Measured is the monotonic clock, which nobody sets: a step of the wall clock changes
    `offset_s`, and not `now()`. What contradicts the latest measurement is forgotten: a broker's
    clock was stepped, or this machine slept.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._bounds: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._ahead_s: float | None = None  # of the monotonic clock: the estimate

    def observe(self, sent_s: float, acked_s: float, stamp_s: float) -> None:
        """Note a broker's time stamp, and when its message was sent and acknowledged.

        `sent_s` and `acked_s` are by `monotonic`.
        """
        low, high = stamp_s - acked_s, stamp_s + STAMP_S - sent_s
        agreeing = [known for known in self._bounds if known[0] <= high and low <= known[1]]
        if len(agreeing) < len(self._bounds):
            self._bounds.clear()
            self._bounds.extend(agreeing)
        self._bounds.append((low, high))
        best = min(self._bounds, key=lambda bounds: bounds[1] - bounds[0])
        self._ahead_s = (best[0] + best[1]) / 2

    @property
    def measured(self) -> int:
        """How many measurements the estimate rests on."""
        return len(self._bounds)

    @property
    def offset_s(self) -> float:
        """How far the brokers' clock is ahead of this worker's wall clock; 0 if not measured."""
        return self.now() - self._wall() if self._ahead_s is not None else 0.0

    def now(self) -> float:
        """Return the brokers' time since the epoch; the wall clock's if not measured."""
        ahead_s = self._ahead_s
        return self._wall() if ahead_s is None else self.monotonic() + ahead_s
