"""Messages that a broker refuses for good: a dead letter tells of each, and nobody waits."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path as Folder

import pytest

from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, facts, inline, make_settings, path_of
from tests.support.path_events import created

LOG, LETTERS = 20_000, 40_000  # bytes of a batch that the two topics take
YEAR_MS = 365 * 86_400_000


def noise(size: int) -> str:
    """Return text that does not compress by much."""
    return random.Random(size).randbytes(size // 2).hex()


@pytest.fixture
async def path(kafka: BrokerInfo, tmp_path: Folder) -> AsyncIterator[Path]:
    """Give a path whose log and dead letters take little, and whose events have any timestamp."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    names = settings.topics
    changes = {
        names.index_log: {"max.message.bytes": str(LOG)},
        names.dead_letters: {"max.message.bytes": str(LETTERS)},
        names.product_events: {
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": str(2**63 - 1),
        },
    }
    specs = [
        replace(spec, config={**spec.config, **changes.get(spec.name, {})})
        for spec in topic_specs(names, products=1, index_log=1, product_retry=1)
    ]
    await asyncio.to_thread(create_topics, settings.bootstrap, specs)
    async with path_of(settings) as path:
        yield path


async def test_what_is_too_large_for_its_topic_stops_no_partition(path: Path) -> None:
    """A record that the log refuses becomes a dead letter; one of those without its value."""
    events = [created(f"good-{n}", inline(n), price=1.0) for n in range(20)]
    events[5:5] = [created("record", description=noise(30_000))]
    events[9:9] = [created("both", description=noise(60_000))]
    await path.publish(*events)
    await path.settled()
    found = {(letter.key(), facts(letter)["code"]) for letter in path.dead_letters()}
    assert {code for _, code in found} == {"record_too_large"}
    assert len(found) == 2
    assert b"" in {key for key, _ in found}  # of `both` only the place is told
    for n in range(20):
        state = path.engine.product(f"good-{n}")
        assert state is not None
        assert state.searchable


async def test_a_dead_letter_with_a_timestamp_that_is_refused_stops_no_partition(
    path: Path,
) -> None:
    """The catalog's topic takes an event from the future, the dead letters' topic does not."""
    now_ms = 1_800_000_000_000
    await path.publish_raw(b"p", b"{", timestamp_ms=now_ms + 100 * YEAR_MS)
    await path.publish(created("after", inline(1)), timestamp_ms=now_ms)
    await path.settled()
    (letter,) = path.dead_letters()
    told = facts(letter)
    assert (told["code"], told["offset"], letter.value()) == ("not_json", "0", b"")
    assert await path.names_showing(1) == ["after"]
