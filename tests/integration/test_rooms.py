"""One event and one request on their way through the rooms: always down, each room by one door."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from streams.ingest.order import is_replay
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_three_times
from streams.tools.broker import BrokerInfo
from tests.support.harness import picture, running_path
from tests.support.path_events import created
from tests.support.pictures import PictureHost
from tests.support.room_calls import Call, RoomCalls
from visualsearch.contracts.events import ImageSource

pytestmark = pytest.mark.integration

# What only holds a value of a message or an error; it does nothing in its room.
VALUES = ("streams.kafka.messages", "streams.images.errors")
# A consumer hands a message to the pipeline that is to handle it.
HAND_OVER = {"handle", "take"}
# They run by the clock, whether or not an event or a request is under way.
BESIDE = (
    "streams.indexer.healer",
    "streams.kafka.heartbeat",
    "streams.kafka.lag",
    "streams.kafka.offsets",
    "streams.kafka.scan",
    "streams.snapshots",
    "streams.worker.worker",
    "visualsearch.client.offsets",
)
IDLE = "has_room"  # every consumer asks its own pipeline, before each look at its topics


def is_hand_over(call: Call) -> bool:
    """Tell a call of the consumer's side to the pipeline that it was given."""
    return call.caller.room == "kafka" and call.callee.function.split(".")[-1] in HAND_OVER


def path_of(calls: Iterable[Call]) -> list[Call]:
    """Return the calls without values, and without what goes on beside a path."""
    return [
        call
        for call in calls
        if call.callee.module not in VALUES
        and call.callee.function.split(".")[-1] != IDLE
        and not any(place.module.startswith((*BESIDE, "streams.tools")) for place in call)
    ]


def rooms_of(calls: Iterable[Call]) -> dict[str, Call]:
    """Return the rooms that calls come from or go to, each with the first such call."""
    return {place.room: call for call in reversed(list(calls)) for place in call}


def doors(calls: Iterable[Call], caller: str) -> dict[str, set[str]]:
    """Return, per room of `streams`, the modules of another room that call into it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for call in calls:
        if call.caller.room == caller and call.callee.room != "visualsearch":
            found[call.callee.room].add(call.caller.module)
    return dict(found)


def upwards(calls: Iterable[Call]) -> list[str]:
    """Return the calls that no import could have made."""
    return [f"{c.caller} -> {c.callee}" for c in calls if c.upwards and not is_hand_over(c)]


async def test_an_event_and_a_request_pass_few_rooms_downwards(
    kafka: BrokerInfo, tmp_path: Path
) -> None:
    """What imports cannot show: callbacks, closures and collaborators that call back up."""
    calls = RoomCalls()
    with calls.installed():
        async with PictureHost() as host, running_path(kafka.bootstrap, tmp_path) as path:
            await path.publish(created("first", ImageSource(url=host.put("1.jpg", picture(1)))))
            await path.settled()
            await path.search(text="red")
            await path.caught_up("search")  # nothing of this request is left to be done
            with calls.recorded() as of_event:
                await path.publish(created("next", ImageSource(url=host.put("2.jpg", picture(2)))))
                await path.settled()
            with calls.recorded() as of_request:
                result = await path.search(text="blue")
            assert {hit.product_id for hit in result.hits} == {"first", "next"}
    event, request = path_of(of_event), path_of(of_request)

    assert upwards(event) == []
    assert rooms_of(event).keys() == {
        "kafka",
        "ingest",
        "images",
        "model",
        "indexer",
        "visualsearch",
    }
    assert doors(event, "ingest") == {
        "images": {"streams.ingest.images"},
        "model": {"streams.ingest.images"},
        "kafka": {"streams.ingest.publisher"},
    }

    assert upwards(request) == []
    assert rooms_of(request).keys() == {"kafka", "searcher", "model", "indexer", "visualsearch"}
    assert doors(request, "searcher") == {
        "model": {"streams.searcher.vectors"},
        "indexer": {"streams.searcher.search"},
        "kafka": {"streams.searcher.consumer"},
    }


async def test_a_callback_into_a_higher_room_is_seen() -> None:
    """Or the test above could not fail: a closure given to a helper below, as there once were."""
    message = SourceMessage("topic", 0, 0, 0, None, None)
    calls = RoomCalls()

    async def look_at_order() -> bool:
        return is_replay(message)

    with calls.installed(), calls.recorded() as found:
        assert await retry_three_times(look_at_order, what="a test") is False
    assert upwards(path_of(found)) == [
        "streams.kafka.retry_forever:retry_three_times -> streams.ingest.order:is_replay"
    ]
