"""A worker's heartbeats on the topic `workers`; they also measure the brokers' clock.

They have a producer of their own: behind queued records they would measure the queue.
"""

import logging
import threading
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from prometheus_client import Gauge

from visualsearch.client.clock import BrokerClock
from visualsearch.contracts.workers import WorkerHeartbeat, encode_heartbeat

log = logging.getLogger(__name__)
EVERY_S = 2.0
FIRST = 3  # quick heartbeats: the first waits for connections and measures badly
FIRST_PAUSE_S = 0.1
DELIVERY_S = 5.0  # an older heartbeat is worthless
GOODBYE_S = 1.0  # at most, at a stop without brokers
SKEWED_S = 1.0
REMIND_S = 60.0


class SkewWatch:
    """Exports and logs the offset between the brokers' clock and this worker's.

    A skewed worker stays in service: ages of requests are corrected by the offset.
    """

    def __init__(self, offset: Gauge) -> None:
        self._offset = offset
        self._skewed = False
        self._logged_at = 0.0

    def record(self, offset_s: float, now_s: float) -> None:
        """Set the metric; log a change, and once a minute that it lasts. `now_s` is monotonic."""
        self._offset.set(offset_s)
        skewed = abs(offset_s) > SKEWED_S
        if skewed and (not self._skewed or now_s - self._logged_at >= REMIND_S):
            self._logged_at = now_s
            log.warning("this machine's clock is %.1f s %s the brokers'; set it, ages of requests "
                        "are corrected meanwhile", abs(offset_s),
                        "behind" if offset_s > 0 else "ahead of")  # fmt: skip
        elif self._skewed and not skewed:
            log.warning("this machine's clock agrees with the brokers' again")
        self._skewed = skewed


class Heartbeat:
    """A thread that publishes `state()` every two seconds, and a tombstone when it is closed."""

    def __init__(
        self,
        options: dict[str, str | int],
        topic: str,
        state: Callable[[], WorkerHeartbeat],
        clock: BrokerClock,
        offset: Gauge,
    ) -> None:
        self._options = options
        self._topic = topic
        self._state = state
        self._clock = clock
        self._skew = SkewWatch(offset)
        self._announced: str | None = None  # the worker id that a tombstone has to remove
        self._measured = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait_measured(self, timeout_s: float) -> bool:
        """Wait for the first measurement of the brokers' clock; False after `timeout_s`."""
        return self._measured.wait(timeout_s)

    def close(self) -> None:
        """Stop, with a tombstone if a broker takes it within a second."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * GOODBYE_S)

    def _run(self) -> None:
        producer: Any = None
        pauses = chain(repeat(FIRST_PAUSE_S, FIRST), repeat(EVERY_S))
        while not self._stopping.wait(next(pauses)):
            try:
                producer = producer or self._connect()
                self._beat(producer)
            except Exception:  # the next one may succeed
                log.exception("no heartbeat")
        if producer is not None and self._announced is not None:
            self._send(producer, self._announced, None)
            producer.flush(GOODBYE_S)

    def _connect(self) -> Any:
        from confluent_kafka import Producer

        own = {
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "message.timeout.ms": round(DELIVERY_S * 1000),
        }
        return Producer(self._options | own)

    def _beat(self, producer: Any) -> None:
        state = self._state()
        self._announced = state.worker_id
        self._send(producer, state.worker_id, encode_heartbeat(state))
        if self._clock.measured:
            self._skew.record(self._clock.offset_s, self._clock.monotonic())
            self._measured.set()

    def _send(self, producer: Any, worker_id: str, value: bytes | None) -> None:
        """Send and wait for the acknowledgement or a stop. A failure is only logged."""
        from confluent_kafka import KafkaException

        sent_s = self._clock.monotonic()

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                self._observe(sent_s, *message.timestamp())

        try:
            producer.produce(self._topic, value, worker_id.encode(), on_delivery=delivered)
            while producer.flush(GOODBYE_S / 4) and not self._stopping.is_set():
                pass
        except (BufferError, KafkaException) as error:
            log.debug("no heartbeat: %s", error)

    def _observe(self, sent_s: float, kind: int, stamp_ms: int) -> None:
        """Measure by the brokers' timestamp; a topic with CreateTime has only our own."""
        from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

        if kind == TIMESTAMP_LOG_APPEND_TIME:
            self._clock.observe(sent_s, self._clock.monotonic(), stamp_ms / 1000)
