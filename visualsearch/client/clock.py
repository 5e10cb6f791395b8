"""The brokers' clock, estimated from the timestamps that they give to a worker's messages."""

import time
from collections import deque
from collections.abc import Callable

KEPT = 10  # measurements: within ten heartbeats a clock drifts by microseconds
STAMP_S = 0.001  # the resolution of a Kafka timestamp, which is rounded down


class BrokerClock:
    """Estimates the brokers' time, which the timestamps of a worker's requests are in.

    A broker stamps a message between its sending and its acknowledgement. Each message therefore
    bounds the difference between the clocks. The narrowest of the last ten bounds is used.

    The local side is the monotonic clock: a step of the wall clock changes `offset_s`, not
    `now()`. Bounds that contradict the latest one are dropped: a broker's clock was set, or this
    machine slept.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._bounds: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._ahead_s: float | None = None  # brokers' clock minus monotonic clock

    def observe(self, sent_s: float, acked_s: float, stamp_s: float) -> None:
        """Record a broker's timestamp, and when its message was sent and acknowledged.

        `sent_s` and `acked_s` are seconds of `monotonic`, `stamp_s` seconds since the epoch.
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
        """How many measurements the estimate uses."""
        return len(self._bounds)

    @property
    def offset_s(self) -> float:
        """Seconds that the brokers' clock is ahead of the wall clock; 0 if not measured."""
        return self.now() - self._wall() if self._ahead_s is not None else 0.0

    def now(self) -> float:
        """Return the brokers' time in seconds since the epoch; the wall clock's if not measured."""
        ahead_s = self._ahead_s
        return self._wall() if ahead_s is None else self.monotonic() + ahead_s
