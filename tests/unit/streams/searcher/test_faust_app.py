"""The Faust app of the queries: fed through a channel, without a client of Kafka of its own."""

import ast
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.config.settings import Settings, load_settings
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Handle, Window
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
    """Answers at once, but holds the offsets in `held`."""

    def __init__(self, held: frozenset[int] = frozenset()) -> None:
        self.held = held
        self.go_on = asyncio.Event()
        self.seen: list[SourceMessage] = []

    async def __call__(self, message: SourceMessage) -> None:
        """Answer a request."""
        self.seen.append(message)
        if message.offset in self.held:
            await self.go_on.wait()


async def give_up(message: SourceMessage, error: Exception) -> None:
    """Fail: nothing is given up here."""
    raise AssertionError(message.source) from error


def made(
    settings: Settings, answer: Handle, *, concurrency: int = 1, events: int = 8
) -> tuple[QueryApp, Window]:
    """Return an app and the window in front of it."""
    app = QueryApp(settings, "g", answer, concurrency=concurrency)
    window = Window(
        app.handle, give_up, events=events, size=1000, at_once=concurrency, finish_begun=True
    )
    return app, window


async def test_a_request_comes_through_as_it_was_read(settings: Settings) -> None:
    """No decoder of Faust's touches it, and it is finished once it is answered."""
    answer, finished = Answering(), []
    app, window = made(settings, answer)
    await app.start()
    for offset in range(100):
        window.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: len(finished) == 100)
    assert finished == list(range(100))
    assert answer.seen == [request(offset) for offset in range(100)]
    await app.stop(5.0)


async def test_what_comes_right_after_the_start_is_not_lost(settings: Settings) -> None:
    """A channel drops what is put before its agent has subscribed, and waits without its flow."""
    for _ in range(5):
        answer = Answering()
        app, window = made(settings, answer)
        await app.start()
        window.take(request(1), lambda: None)
        await until(lambda answer=answer: answer.seen == [request(1)])  # type: ignore[misc]
        await app.stop(5.0)


async def test_requests_are_answered_concurrently_each_once(settings: Settings) -> None:
    """As many as the agent may: a slow image host delays only its own request."""
    answer, finished = Answering(held=frozenset({0, 1})), []
    app, window = made(settings, answer, concurrency=3)
    await app.start()
    for offset in range(8):
        window.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: len(finished) == 6)
    assert finished == [2, 3, 4, 5, 6, 7]
    assert sorted(message.offset for message in answer.seen) == list(range(8))
    answer.go_on.set()
    await until(lambda: len(finished) == 8)
    assert len(answer.seen) == 8
    await app.stop(5.0)


async def test_no_more_requests_than_the_limit_are_in_work(settings: Settings) -> None:
    """The third begins when one of the first two is answered."""
    answer = Answering(held=frozenset({0, 1}))
    app, window = made(settings, answer, concurrency=2)
    await app.start()
    for offset in range(3):
        window.take(request(offset), lambda: None)
    await until(lambda: len(answer.seen) == 2)
    await asyncio.sleep(0.05)
    assert len(answer.seen) == 2
    answer.go_on.set()
    await until(lambda: len(answer.seen) == 3)
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
    app, window = made(settings, Answering())
    await app.start()
    window.take(request(1), lambda: None)
    await asyncio.sleep(0.2)
    assert app.crash is None
    await app.stop(5.0)


async def test_the_window_is_full_until_requests_are_finished(settings: Settings) -> None:
    """It bounds what is in memory; what was read before it was full comes nevertheless."""
    answer = Answering(held=frozenset({0}))
    app, window = made(settings, answer, events=3)
    await app.start()
    for offset in range(4):
        window.take(request(offset), lambda: None)
    assert not window.has_room
    answer.go_on.set()
    await until(lambda: window.has_room and len(answer.seen) == 4)
    answer.go_on.clear()
    answer.held = frozenset({9})
    window.take(SourceMessage("requests", 0, 9, 1000, b"k", b" " * 1000), lambda: None)
    assert not window.has_room, "a few large requests fill it as well"
    answer.go_on.set()
    await until(lambda: window.has_room)
    await app.stop(5.0)


async def test_at_a_rebalance_what_has_not_begun_is_left_to_its_next_owner(
    settings: Settings,
) -> None:
    """What has begun is answered: a search takes milliseconds, and its answer may be the first."""
    answer, finished = Answering(held=frozenset({0})), []
    app, window = made(settings, answer)
    await app.start()
    for offset in range(3):
        window.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: len(answer.seen) == 1)
    settling = asyncio.create_task(window.settle(30.0))
    await asyncio.sleep(0.05)
    assert not settling.done(), "what has begun is waited for"
    answer.go_on.set()
    await asyncio.wait_for(settling, 5.0)
    assert finished == [0]
    window.take(request(9), lambda: finished.append(9))
    await until(lambda: finished == [0, 9])
    assert [message.offset for message in answer.seen] == [0, 9]
    await app.stop(5.0)


async def test_a_close_waits_for_what_is_in_work(settings: Settings) -> None:
    """Not longer than it is told to; afterwards nothing is taken."""
    answer, finished = Answering(held=frozenset({0})), []
    app, window = made(settings, answer)
    await app.start()
    window.take(request(0), lambda: finished.append(0))
    closing = asyncio.create_task(window.close(30.0))
    await until(lambda: len(answer.seen) == 1)
    assert not closing.done()
    assert not window.has_room
    answer.go_on.set()
    await asyncio.wait_for(closing, 5.0)
    assert finished == [0]
    window.take(request(1), lambda: finished.append(1))
    await asyncio.sleep(0.05)
    assert len(answer.seen) == 1
    await app.stop(5.0)


async def test_what_is_in_work_at_the_stop_is_left_to_its_next_owner(settings: Settings) -> None:
    """Else it would be answered here and there."""
    begun, finished, answered = asyncio.Event(), [], []

    async def answer(message: SourceMessage) -> None:
        begun.set()
        try:
            await asyncio.sleep(30.0)
            answered.append(message)
        except asyncio.CancelledError:
            finished.append("cancelled")
            raise

    app, window = made(settings, answer)
    await app.start()
    window.take(request(0), lambda: finished.append("finished"))
    await asyncio.wait_for(begun.wait(), 5.0)
    await window.close(0.0)
    await app.stop(5.0)
    await asyncio.sleep(0.05)
    assert (answered, finished) == ([], ["cancelled"])


async def test_an_answer_that_fails_is_given_up_and_the_agent_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three tries: one request must not end the agent, nor keep its slot."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)
    tries, finished, given_up = [], [], []

    async def answer(message: SourceMessage) -> None:
        tries.append(message.offset)
        if message.offset == 0:
            raise RuntimeError("a defect")

    async def note(message: SourceMessage, error: Exception) -> None:
        given_up.append((message.offset, str(error)))

    app = QueryApp(settings, "g", answer, concurrency=1)
    window = Window(app.handle, note, events=8, size=1000, at_once=1)
    await app.start()
    for offset in range(2):
        window.take(request(offset), lambda n=offset: finished.append(n))  # type: ignore[misc]
    await until(lambda: finished == [0, 1])
    assert (tries, given_up) == ([0, 0, 0, 1], [(0, "a defect")])
    assert app.crash is None
    await app.stop(5.0)


async def test_an_agent_that_raises_crashes_the_app(settings: Settings) -> None:
    """Faust would start it again behind the request that it failed on."""

    class Damaged(Delivery):
        """A delivery that the agent cannot take apart."""

        def __iter__(self) -> Iterator[Any]:
            raise RuntimeError("a defect")

    app, _ = made(settings, Answering())
    await app.start()
    assert app.crash is None
    await app._channel.put(app._event(Damaged(request(0), asyncio.Future())))
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
