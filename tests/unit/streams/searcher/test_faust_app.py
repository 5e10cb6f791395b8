"""The Faust app of the queries: fed through a channel, without a client of Kafka of its own."""

import ast
import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streams.config.settings import Settings, load_settings
from streams.kafka.messages import SourceMessage
from streams.searcher.faust_app import Delivery, QueryApp
from tests.support.waiting import until

ROOT = Path(__file__).parents[4]
NOBODY = "127.0.0.1:1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings of a broker that nobody asks."""
    return load_settings(bootstrap=NOBODY, data_dir=tmp_path)


def request(offset: int) -> SourceMessage:
    """Return a request whose bytes are no text and no JSON."""
    return SourceMessage("requests", 0, offset, 1000, b"\xff\x00", b"{\xfe")


class Answering:
    """A handler that answers at once, but holds the offsets in `held`."""

    def __init__(self, held: frozenset[int] = frozenset()) -> None:
        self.held = held
        self.go_on = asyncio.Event()
        self.seen: list[SourceMessage] = []

    async def __call__(self, stream: AsyncIterator[Delivery]) -> None:
        """Take deliveries as the query agent does."""
        async for delivery in stream:
            if (message := delivery.message) is None:
                continue
            delivery.begun = True
            self.seen.append(message)
            if message.offset in self.held:
                await self.go_on.wait()
            delivery.finished()


async def test_a_request_comes_through_as_it_was_read(settings: Settings) -> None:
    """No decoder of Faust's touches it, and it is finished where the agent says so."""
    handler, finished = Answering(), []
    app = QueryApp(settings, "g", handler, window=8, size=1000)
    await app.start()
    for offset in range(100):
        app.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: len(finished) == 100)
    assert finished == list(range(100))
    assert handler.seen == [request(offset) for offset in range(100)]
    await app.stop(5.0)


async def test_what_comes_right_after_the_start_is_not_lost(settings: Settings) -> None:
    """A channel drops what is put before its agent has subscribed, and waits without its flow."""
    for _ in range(5):
        handler = Answering()
        app = QueryApp(settings, "g", handler, window=8, size=1000)
        await app.start()
        app.take(request(1), lambda: None)
        await until(lambda handler=handler: handler.seen == [request(1)])  # type: ignore[misc]
        await app.stop(5.0)


async def test_the_app_opens_no_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of Faust's reads the wire: its client cannot be made to."""
    from faust.transport.drivers import aiokafka

    def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("a client of Kafka was made")

    for name in ("AIOKafkaConsumer", "AIOKafkaProducer", "TransactionProducer"):
        if hasattr(aiokafka.aiokafka, name):
            monkeypatch.setattr(aiokafka.aiokafka, name, connect)
    app = QueryApp(settings, "g", Answering(), window=8, size=1000)
    await app.start()
    app.take(request(1), lambda: None)
    await asyncio.sleep(0.2)
    assert app.crash is None
    await app.stop(5.0)


async def test_the_window_is_full_until_requests_are_finished(settings: Settings) -> None:
    """It bounds what is in memory; what was read before it was full comes nevertheless."""
    handler = Answering(held=frozenset({0}))
    app = QueryApp(settings, "g", handler, window=3, size=1000)
    await app.start()
    for offset in range(4):
        app.take(request(offset), lambda: None)
    assert not app.has_room
    handler.go_on.set()
    await until(lambda: app.has_room)
    assert len(handler.seen) == 4
    handler.go_on.clear()
    handler.held = frozenset({9})
    app.take(SourceMessage("requests", 0, 9, 1000, b"k", b" " * 1000), lambda: None)
    assert not app.has_room, "a few large requests fill it as well"
    handler.go_on.set()
    await until(lambda: app.has_room)
    await app.stop(5.0)


async def test_at_a_rebalance_what_has_not_begun_is_left_to_its_next_owner(
    settings: Settings,
) -> None:
    """What has begun is answered: a search takes milliseconds, and its answer may be the first."""
    handler, finished = Answering(held=frozenset({0})), []
    app = QueryApp(settings, "g", handler, window=8, size=1000)
    await app.start()
    for offset in range(3):
        app.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: len(handler.seen) == 1)
    settling = asyncio.create_task(app.settle(30.0))
    await asyncio.sleep(0.05)
    assert not settling.done(), "what has begun is waited for"
    handler.go_on.set()
    await asyncio.wait_for(settling, 5.0)
    assert finished == [0]
    app.take(request(9), lambda: finished.append(9))
    await until(lambda: finished == [0, 9])
    assert [message.offset for message in handler.seen] == [0, 9]
    await app.stop(5.0)


async def test_a_close_waits_for_what_is_in_work(settings: Settings) -> None:
    """Not longer than it is told to; afterwards nothing is taken."""
    handler, finished = Answering(held=frozenset({0})), []
    app = QueryApp(settings, "g", handler, window=8, size=1000)
    await app.start()
    app.take(request(0), lambda: finished.append(0))
    closing = asyncio.create_task(app.close(30.0))
    await until(lambda: len(handler.seen) == 1)
    assert not closing.done()
    assert not app.has_room
    handler.go_on.set()
    await asyncio.wait_for(closing, 5.0)
    assert finished == [0]
    app.take(request(1), lambda: finished.append(1))
    await asyncio.sleep(0.05)
    assert len(handler.seen) == 1
    await app.stop(5.0)


async def test_a_handler_that_raises_crashes_the_app(settings: Settings) -> None:
    """Faust would start it again behind the request that it failed on."""

    async def handler(stream: AsyncIterator[Delivery]) -> None:
        async for _ in stream:
            raise RuntimeError("a defect")

    app = QueryApp(settings, "g", handler, window=8, size=1000)
    await app.start()
    assert app.crash is None
    app.take(request(0), lambda: None)
    await until(lambda: app.crash is not None)
    assert "a defect" in str(app.crash)
    await app.stop(5.0)


def imported(file: Path) -> set[str]:
    """Return the top-level packages that a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def users(wanted: Callable[[set[str]], bool]) -> list[str]:
    """Return the modules of `streams` whose imports are like that."""
    files = sorted((ROOT / "streams").rglob("*.py"))
    assert len(files) > 50, "the search for files is broken"
    return [str(file.relative_to(ROOT)) for file in files if wanted(imported(file))]


def test_faust_is_used_in_one_file_and_its_client_in_none() -> None:
    """What is true of the app above is then true of all that Faust does here."""
    assert users(lambda found: "faust" in found) == ["streams/searcher/faust_app.py"]
    assert users(lambda found: bool(found & {"aiokafka", "mode"})) == []
