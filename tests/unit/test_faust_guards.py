"""What must never happen on Faust, held on the real apps and on the source (docs/adr/0004)."""

import ast
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.faust_app import make_app
from streams.indexing import build_engine
from streams.runtime import build_search, build_shared
from streams.settings import Settings, load_settings
from streams.snapshots.begin import Beginning
from streams.worker import Worker
from tests.fakes import FakeEncoder
from tests.faust_guard import MOVES, guarded_consumers

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings of a broker that nobody asks."""
    return load_settings(bootstrap=NOBODY, data_dir=tmp_path)


@pytest.fixture
async def apps(settings: Settings) -> AsyncIterator[list[Any]]:
    """Give every Faust app of a worker, put together as in production and not started."""
    encoder = FakeEncoder()
    shared = build_shared(settings, encoder)
    engine = build_engine(settings, encoder.model_id, encoder.dim, shared.metrics)
    side = build_search(shared, 2, Beginning(engine, None, None))
    worker = Worker(settings, frozenset({"ingest", "search"}), encoder=encoder)
    yield [worker._query_app(side)]
    side.handler.close()
    shared.model.close()
    shared.producer.close()


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module of `streams`, parsed."""
    for file in sorted((ROOT / "streams").rglob("*.py")):
        yield file.relative_to(ROOT), ast.parse(file.read_text())


def imported(module: ast.Module) -> set[str]:
    """Return the top-level packages that a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def attributes(module: ast.Module) -> list[tuple[int, str, str]]:
    """Return line, object and name of every attribute that a module touches, called or not."""
    return [
        (node.lineno, ast.unparse(node.value), node.attr)
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
    ]


def test_every_topic_of_a_worker_is_raw_bytes(apps: list[Any]) -> None:
    """A decoder that fails inside Faust acknowledges past the message: it must have none."""
    assert [app.conf.id for app in apps] == ["visualsearch-queries"]
    for app in apps:
        assert app.agents, app
        assert (app.conf.key_serializer, app.conf.value_serializer) == ("raw", "raw")
        for agent in app.agents.values():
            topic = agent.channel
            assert (topic.key_type, topic.value_type) == (bytes, bytes), topic
            assert {topic.key_serializer, topic.value_serializer} <= {None, "raw"}, topic
            assert topic.schema.key_serializer in {None, "raw"}, topic
            assert topic.schema.value_serializer in {None, "raw"}, topic


async def test_what_is_no_text_and_no_json_comes_through_as_it_was(apps: list[Any]) -> None:
    """The decoder that each topic really uses changes nothing and raises nothing."""
    from faust.types.tuples import TP, Message

    for app in apps:
        for agent in app.agents.values():
            topic = agent.channel
            for key, value in ((b"\xff\x00", b"{\xfe"), (b"", b""), (None, None)):
                message = Message("t", 0, 0, 0.0, 0, [], key, value, None, tp=TP("t", 0))
                event = await topic.decode(message)
                assert (event.key, event.value) == (key, value), topic


def test_only_one_file_makes_apps_and_one_line_their_topics() -> None:
    """So that the check of the apps is one of all topics."""
    users = [str(file) for file, module in sources() if "faust" in imported(module)]
    assert users == ["streams/faust_app.py"]
    made = [
        (str(file), name)
        for file, module in sources()
        for _, where, name in attributes(module)
        if name in {"topic", "App", "channel", "Table", "GlobalTable"} and where in {"app", "faust"}
    ]
    assert sorted(made) == [("streams/faust_app.py", "App"), ("streams/faust_app.py", "topic")]


def moves(file: Path, module: ast.Module) -> list[str]:
    """Return the places where a module stops, resumes or moves a consumer of Faust.

    A consumer of confluent-kafka may be paused; it is made in the file that uses it.
    """
    names = set(MOVES) | {"pause", "resume"}
    if "confluent_kafka" in imported(module):
        names -= {"pause", "resume", "seek"}
    return [
        f"{file}:{line}: {where}.{name}"
        for line, where, name in attributes(module)
        if name in names and where != "signal"
    ]


def test_nothing_stops_or_moves_a_consumer_of_faust() -> None:
    """`pause_partitions` lost 18,500 of 18,542 messages; a seek is overwritten."""
    assert len(list(sources())) > 50, "the search for files is broken"
    assert [place for file, module in sources() for place in moves(file, module)] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("app.consumer.pause_partitions(tps)", 1),
        ("later(app.consumer.resume_partitions)", 1),
        ("consumer.pause(tps)", 1),
        ("from confluent_kafka import Consumer\nconsumer.pause(tps)", 0),
        ("from confluent_kafka import Consumer\napp.consumer.stop_flow()", 1),
        ("signal.pause()", 0),
    ],
)
def test_a_move_would_be_seen_in_the_source(code: str, found: int) -> None:
    """Or the test above would show nothing."""
    assert len(moves(Path("x.py"), ast.parse(code))) == found


async def test_a_move_would_be_seen_as_it_happens(settings: Settings) -> None:
    """The integration tier runs under this guard; Faust's own calls are none of ours."""

    async def handler(_: Any) -> None:
        raise AssertionError("never started")

    app = make_app(settings, "g", ["a"], handler, buffer=5)
    with guarded_consumers() as calls:
        app.consumer.stop_flow()
        app.consumer.pause_partitions([])
        app.consumer.resume_partitions([])
        app.consumer.resume_flow()
        assert [call.partition(" called ")[2] for call in calls] == [
            "stop_flow", "pause_partitions", "resume_partitions", "resume_flow",
        ]  # fmt: skip
    app.consumer.stop_flow()
    assert len(calls) == 4
    app.consumer._thread.thread_loop.close()
