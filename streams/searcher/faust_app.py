"""The Faust app of the query agent: fed by our own consumer, without a connection to Kafka.

Nothing of Faust's reads the wire (docs/adr/0015-queries-leave-aiokafka.md): its client decodes
header names before anybody can catch the error. Requests come through a channel instead.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from streams.config.settings import Settings
from streams.kafka.consumer_group import Finished
from streams.kafka.messages import SourceMessage
from visualsearch.private import make_folder

Handler = Callable[[Any], Awaitable[None]]
log = logging.getLogger(__name__)
SUBSCRIBE_S = 10.0


@dataclass(slots=True, eq=False)
class Delivery:
    """A request on its way to the agent; without its message it is the next owner's."""

    message: SourceMessage | None
    finished: Finished
    begun: bool = False


class QueryApp:
    """A `faust.App` whose only agent runs `handler(stream)` over the deliveries put into it.

    It is the sink of the consumer of `search-requests`. At most about `window` requests of `size`
    bytes together are in it.
    """

    def __init__(
        self, settings: Settings, name: str, handler: Handler, *, window: int, size: int
    ) -> None:
        self._app = _make_app(settings, name)
        self._channel = self._app.channel(maxsize=0)  # `window` bounds it
        self._window = window
        self._size = size
        self._bytes = 0
        self._inside: dict[Delivery, int] = {}  # with its bytes
        self._puts: set[asyncio.Task[None]] = set()
        self._subscribed = asyncio.Event()
        self._emptied = asyncio.Event()
        self._closed = False

        async def agent(stream: Any) -> None:
            self._subscribed.set()
            try:
                await handler(stream)
            except Exception as error:
                # Faust would start the agent again behind the request that it failed on. A
                # crashed app ends the process; its successor reads that request again.
                await self._app.crash(error)
                raise

        self._app.agent(self._channel, name=name)(agent)

    async def start(self) -> None:
        """Start the agent; return once it has subscribed to the channel. Raises TimeoutError."""
        await self._app.start()
        self._app.flow_control.resume()  # a rebalance of Faust's own would do so: there is none
        async with asyncio.timeout(SUBSCRIBE_S):
            await self._subscribed.wait()  # what is put into the channel before is dropped

    @property
    def crash(self) -> BaseException | None:
        """Why the app cannot go on; None while it can."""
        app = self._app
        return (app.crash_reason or RuntimeError("crashed")) if app.crashed else None

    @property
    def has_room(self) -> bool:
        """Whether more requests may come."""
        fits = len(self._inside) < self._window and self._bytes < self._size
        return not self._closed and fits

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Hand a request to the agent; once closed it is the next owner's."""
        if self._closed:
            return
        delivery = Delivery(message, finished)
        delivery.finished = lambda: self._finish(delivery, finished)
        self._inside[delivery] = message.size
        self._bytes += message.size
        put = asyncio.create_task(self._channel.put(self._event(delivery, message)))
        self._puts.add(put)
        put.add_done_callback(self._puts.discard)

    def cancel(self) -> None:
        """Drop the requests on which no work has begun; the others are answered."""
        for delivery in [each for each in self._inside if not each.begun]:
            delivery.message = None
            self._leave(delivery)

    async def settle(self, timeout_s: float) -> None:
        """Drop what has not begun and wait for what has; at a rebalance."""
        self.cancel()
        await self._wait_empty(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Take no more, and wait for what is in work."""
        self._closed = True
        await self._wait_empty(timeout_s)
        self.cancel()

    async def _wait_empty(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._inside:
                    self._emptied.clear()
                    await self._emptied.wait()

    async def stop(self, timeout_s: float) -> None:
        """Stop the agent; what is in work then is left to the next owner."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._app.stop()
        except TimeoutError:
            log.warning("%s did not stop within %.0f s and is left", self._app.conf.id, timeout_s)
        # Made by the first look of a stream at `app.consumer`, though nothing ever runs on it.
        self._app.consumer._thread.thread_loop.close()  # noqa: SLF001 - nothing else closes it

    def _finish(self, delivery: Delivery, finished: Finished) -> None:
        self._leave(delivery)
        finished()

    def _leave(self, delivery: Delivery) -> None:
        self._bytes -= self._inside.pop(delivery, 0)
        if not self._inside:
            self._emptied.set()

    def _event(self, delivery: Delivery, source: SourceMessage) -> Any:
        """Return the delivery as an event of the channel. One without a message ends the agent."""
        from faust.types.tuples import TP, Message

        message = Message(
            source.topic,
            source.partition,
            source.offset,
            source.timestamp_ms / 1000,
            0,
            None,
            None,
            None,
            None,
            tp=TP(source.topic, source.partition),
            generation_id=self._app.consumer_generation_id,
        )
        return self._app.create_event(None, delivery, None, message)


def _make_app(settings: Settings, name: str) -> Any:
    import faust
    from faust.app.base import BootStrategy

    class WithoutKafka(BootStrategy):  # type: ignore[misc]  # untyped
        """Starts the agents alone: no consumer, no producer, no web server."""

        enable_kafka = False
        enable_web = False

    data_dir = settings.data_dir / "faust"  # it keeps nothing there: no tables
    make_folder(data_dir)
    app = faust.App(
        name,
        broker="kafka://",  # never connected to
        loop=asyncio.get_running_loop(),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        datadir=str(data_dir),
    )
    app.boot_strategy = WithoutKafka(app)
    return app
