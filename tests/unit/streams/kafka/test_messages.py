"""Messages as they were read, whatever their bytes; and that nothing reads headers another way."""

import ast
from pathlib import Path
from typing import Any

import pytest

from streams.ingest.dead_letters import Fault, dead_letter
from streams.ingest.outcome import read_event
from streams.ingest.retry import RetryError, parse_retry
from streams.kafka.messages import SourceMessage
from visualsearch.client.messages import read_headers
from visualsearch.client.unreadable import UnreadableBatch
from visualsearch.contracts.errors import SchemaError

ROOT = Path(__file__).parents[4]
BATCH = UnreadableBatch("t", 3, 7, 12, "Invalid compressed data")


class Read:
    """What the client hands over; `headers` raises as it does for a name that is not UTF-8."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def headers(self) -> Any:
        """Return the headers, or raise."""
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers

    def __getattr__(self, name: str) -> Any:
        given = {"topic": "t", "partition": 3, "offset": 7, "timestamp": (1, 5000), "key": b"k",
                 "value": b"v"}  # fmt: skip
        return lambda: given[name]


@pytest.mark.parametrize(
    "error", [SystemError("returned a result"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")]
)
def test_headers_that_are_no_text_leave_key_value_and_place(error: Exception) -> None:
    """The message is told to be damaged, and is read on behind it."""
    message = SourceMessage.from_confluent(Read(error))
    assert (message.key, message.value, message.source) == (b"k", b"v", "t[3]@7")
    assert (message.headers, message.next_offset) == ((), 8)
    assert message.damage is not None
    assert message.damage.code == "headers_invalid"
    assert read_headers(Read(None)) == ()
    assert SourceMessage.from_confluent(Read([("a", None)])).headers == (("a", None),)


def test_an_unreadable_batch_is_one_message_behind_which_reading_goes_on() -> None:
    """Its dead letter names the first and the last offset, and has no time, key or value."""
    message = SourceMessage.from_unreadable(BATCH)
    assert message.next_offset == 13
    with pytest.raises(SchemaError) as caught:
        read_event(message, "timestamp")
    assert caught.value.code == "message_unreadable"
    letter = dead_letter("dead", message, Fault("decode", caught.value.code, str(caught.value)))
    told = {name.rpartition(".")[2]: (value or b"").decode() for name, value in letter.headers}
    assert (told["offset"], told["last_offset"]) == ("7", "12")
    assert "7 to 12" in told["message"]
    assert (letter.key, letter.value, letter.timestamp_ms) == (None, None, None)


def test_a_retry_that_cannot_be_read_says_so() -> None:
    """Not that no worker wrote it."""
    with pytest.raises(RetryError) as caught:
        parse_retry(SourceMessage.from_unreadable(BATCH))
    assert caught.value.code == "message_unreadable"


def calls_of_headers(file: Path) -> list[str]:
    """Return the places where a module calls `.headers()` of anything."""
    return [
        f"{file.name}:{node.lineno}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "headers"
    ]


def test_nothing_reads_the_headers_of_a_message_in_another_way(tmp_path: Path) -> None:
    """The client's own call may raise at a later line, or end the process."""
    files = sorted((ROOT / "streams").rglob("*.py"))
    assert len(files) > 50, "the search for files is broken"
    assert [place for file in files for place in calls_of_headers(file)] == []
    planted = tmp_path / "planted.py"
    planted.write_text("found = dict(message.headers() or ())\n")
    assert calls_of_headers(planted) == ["planted.py:1"]


def test_no_coordinator_is_asked_by_the_admin_client() -> None:
    """A connection that is lost at that moment ends the process (librdkafka#4605)."""
    asked = ("list_consumer_group_offsets", "describe_consumer_groups", "delete_consumer_groups")
    found = [
        f"{file.name}: {node.attr}"
        for file in sorted((ROOT / "streams").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in asked
    ]
    assert found == []
