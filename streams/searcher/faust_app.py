"""The Faust app of the query agent: requests reach it through a channel, not through Kafka.

Faust's own client fails on header names that are not UTF-8, so our consumer reads the topic
(docs/adr/0015-queries-leave-aiokafka.md).
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, NamedTuple

from streams.config.settings import Settings
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Handle
from visualsearch.private import make_folder

log = logging.getLogger(__name__)
SUBSCRIBE_S = 10.0


class Delivery(NamedTuple):
    """A request for the agent, and a future that resolves once it is answered."""

    request: SourceMessage
    answered: "asyncio.Future[None]"


class QueryApp:
    """A `faust.App` whose agent answers at most `concurrency` requests at a time."""

    def __init__(self, settings: Settings, name: str, answer: Handle, *, concurrency: int) -> None:
        self._app = _make_app(settings, name)
        self._channel = self._app.channel(maxsize=0)  # bounded by the window in front of it
        self._subscribed = asyncio.Event()

        async def agent(stream: Any) -> None:
            self._subscribed.set()
            try:
                async for request, answered in stream:
                    await _complete(answered, answer(request))
            except Exception as error:
                # Faust would start the agent again behind the request that it failed on. A
                # crashed app ends the process; its successor reads that request again.
                await self._app.crash(error)
                raise

        self._app.agent(self._channel, name=name, concurrency=concurrency)(agent)

    async def start(self) -> None:
        """Start the agent; return once it has subscribed to the channel. Raises TimeoutError."""
        await self._app.start()
        self._app.flow_control.resume()  # Faust does so at its own rebalance, which never comes
        async with asyncio.timeout(SUBSCRIBE_S):
            await self._subscribed.wait()  # the channel drops earlier requests

    @property
    def crash(self) -> BaseException | None:
        """The error that crashed the app; None while it runs."""
        app = self._app
        return (app.crash_reason or RuntimeError("crashed")) if app.crashed else None

    async def handle(self, request: SourceMessage) -> None:
        """Have the agent answer a request. Raises what answering it raises."""
        answered = asyncio.get_running_loop().create_future()
        await self._channel.put(self._event(Delivery(request, answered)))
        await answered

    async def stop(self, timeout_s: float) -> None:
        """Stop the agent; unfinished requests are left to the partition's next owner."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._app.stop()
        except TimeoutError:
            log.warning("%s did not stop within %.0f s and is left", self._app.conf.id, timeout_s)
        # Created at the first access to `app.consumer`; nothing ever runs on it.
        self._app.consumer._thread.thread_loop.close()  # noqa: SLF001 - nothing else closes it

    def _event(self, delivery: Delivery) -> Any:
        """Return the delivery as an event of the channel. One without a message ends the agent."""
        from faust.types.tuples import TP, Message

        source = delivery.request
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


async def _complete(answered: "asyncio.Future[None]", work: Awaitable[None]) -> None:
    """Wait for the work and resolve the future, unless it is done or cancelled."""
    try:
        await work
    except Exception as error:
        if not answered.done():
            answered.set_exception(error)
    else:
        if not answered.done():
            answered.set_result(None)


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
