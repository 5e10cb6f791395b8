"""Two hundred requests with one fault each: every one is answered, and told what to do."""

import asyncio
import re

import msgspec
import pytest

from streams.tools.broker import BrokerInfo
from tests.support.bombs import as_request
from tests.support.harness import inline, running_path, send_packed
from tests.support.malformed_requests import bad_requests, good_request
from tests.support.path_events import created
from visualsearch.client.messages import OutgoingMessage
from visualsearch.contracts.search import SearchResult

COUNT = 200
# What an answer says so that its reader can act: what is wanted instead, or what to change.
ADVICE = re.compile(
    r"[Ee]xpected|required|leave it out|drop|change a|add a|give|must have|only|takes|needs|say "
    r"|swap|[Ss]end|explain says|left < right"
)


async def test_each_of_two_hundred_is_answered_with_code_field_and_advice(
    kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One answer each, none lost, none crashed; a good request after them is still answered."""
    requests = bad_requests(COUNT, seed=7)
    async with running_path(kafka.bootstrap, tmp_path_factory.mktemp("bad")) as path:
        await path.publish(created("p", inline(0), category="Shirts"))
        await path.settled()
        good = msgspec.json.encode(good_request("good"))
        topic = path.topics.search_requests
        await path.producer.send([
            *(OutgoingMessage(topic, each.request_id.encode(), each.value) for each in requests),
            OutgoingMessage(topic, b"good", good),
        ])  # fmt: skip
        tags = b"[" + b'"",' * 5_000_000 + b'""]'
        packed = {b"packed": as_request(tags, "filters.tags")}
        await asyncio.to_thread(send_packed, path, topic, packed)
        await path.caught_up("search")
        answers: dict[str, list[SearchResult]] = {}
        for message in path.read(path.topics.search_results):
            result = msgspec.json.decode(message.value(), type=SearchResult)
            answers.setdefault(result.request_id, []).append(result)
    (result,) = answers.pop("r")  # 15 MiB of texts in a few kilobytes
    assert result.error is not None
    assert result.error.code == "request_too_large"
    assert len(answers) == COUNT + 1
    for request in requests:
        (result,) = answers[request.request_id]
        error = result.error
        assert (result.status, result.hits) == ("error", []), request
        assert error is not None
        assert (error.code, error.field) == (request.code, request.field), (request, error)
        assert len(error.message.split()) >= 3, (request, error)
        assert ADVICE.search(error.message), (request, error)
    (result,) = answers["good"]
    assert (result.status, result.error) == ("ok", None)
