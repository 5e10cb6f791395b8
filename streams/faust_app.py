"""A Faust app as the queries need it: raw bytes, one agent, nothing declared, nothing served.

Read `docs/adr/0004-lanes-on-faust.md` for why each of these settings is what it is, and ADR 7 for
why the lanes are not on Faust.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams.settings import Settings
from visualsearch.private import make_folder

Handler = Callable[[Any], Awaitable[None]]
log = logging.getLogger(__name__)


def make_app(
    settings: Settings, group: str, topics: Sequence[str], handler: Handler, *, buffer: int
) -> Any:
    """Return a `faust.App` whose only agent runs `handler(stream)` over `topics`.

    `buffer` bounds the messages held in memory: it is the back pressure (pausing partitions
    loses messages in Faust 0.15.3). `topic_allow_declare` is off, the topics are ours to create.
    """
    import faust

    data_dir = settings.data_dir / "faust"  # it keeps nothing there: no tables
    make_folder(data_dir)
    app = faust.App(
        group,
        broker=f"kafka://{settings.bootstrap.replace(',', ';')}",
        loop=asyncio.get_running_loop(),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        stream_buffer_maxsize=buffer,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=12 * 1024 * 1024,
        broker_commit_interval=0.5,
        broker_session_timeout=settings.session_timeout_s,
        broker_rebalance_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=1.0,
        broker_max_poll_records=buffer,
        broker_max_poll_interval=300.0,
        producer_max_request_size=12 * 1024 * 1024,
        datadir=str(data_dir),
    )
    # Raw bytes in and out: a decoder that fails inside Faust would acknowledge past the message.
    channel = app.topic(*topics, key_type=bytes, value_type=bytes)

    async def agent(stream: Any) -> None:
        try:
            await handler(stream)
        except Exception as error:
            # Faust would restart the agent behind the message that it failed on, and commit past
            # it. A crashed app ends the process; its successor reads that message again.
            await app.crash(error)
            raise

    app.agent(channel, name=group)(agent)
    return app


async def start_app(app: Any) -> None:
    """Start the app's consumer and agent, joining its group."""
    await app.start()


def crash_of(app: Any) -> BaseException | None:
    """Return why the app cannot go on, None while it can."""
    return (app.crash_reason or RuntimeError("crashed")) if app.crashed else None


async def stop_app(app: Any, timeout_s: float) -> None:
    """Leave the group and stop. A broker that is away must not keep the process alive."""
    try:
        async with asyncio.timeout(timeout_s):
            await app.stop()
    except TimeoutError:
        log.warning("%s did not stop within %.0f s and is left", app.conf.id, timeout_s)
