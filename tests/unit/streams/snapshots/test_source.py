"""Whose log a snapshot is of, and whether its offsets are still there."""

from typing import Any

import msgspec
import pytest

from streams.snapshots.source import (
    LogIdentity,
    SavedDirtyKey,
    SnapshotSource,
    UnusableSnapshotError,
    read_source,
    require_log,
    require_offsets,
)
from visualsearch.client.tail import Position

HERE = LogIdentity("c", "log", "id", 2)
DIRTY = SavedDirtyKey.of(b"base:\xff p", 1, (3, 2, 1))
SOURCE = SnapshotSource(HERE, (Position(5, 0), Position(7)), (DIRTY,))


def test_a_source_comes_back_as_it_was() -> None:
    """Through JSON, keys that are no text included."""
    again = read_source(msgspec.json.decode(msgspec.json.encode(SOURCE.as_json())))
    assert again == SOURCE
    assert again.dirty[0].raw_key == b"base:\xff p"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"log": 1},
        SOURCE.as_json() | {"positions": [{"offset": 5}]},
        SOURCE.as_json() | {"positions": "5, 7"},
        SOURCE.as_json() | {"dirty": [{"key": "a", "partition": 0, "order": [1, 2, 3]}]},
        SOURCE.as_json() | {"dirty": [{"key": "", "partition": 0, "order": [1]}]},
    ],
)
def test_what_is_no_source_is_refused(broken: dict[str, Any]) -> None:
    """With one code, whatever is wrong."""
    with pytest.raises(UnusableSnapshotError) as raised:
        read_source(broken)
    assert raised.value.code == "source_unreadable"


@pytest.mark.parametrize(
    ("here", "code"),
    [
        (LogIdentity("x", "log", "id", 2), "cluster_foreign"),
        (LogIdentity("c", "x", "id", 2), "topic_foreign"),
        (LogIdentity("c", "log", "x", 2), "topic_recreated"),
        (LogIdentity("c", "log", "id", 3), "partitions_changed"),
    ],
)
def test_another_log_is_refused(here: LogIdentity, code: str) -> None:
    """Each of what makes a log what it is."""
    require_log(SOURCE, HERE)
    with pytest.raises(UnusableSnapshotError) as raised:
        require_log(SOURCE, here)
    assert raised.value.code == code


def test_offsets_at_the_ends_of_the_log_are_there() -> None:
    """Nothing lies before the beginning, and nothing is to be read at the end."""
    require_offsets(SOURCE, {0: (5, 5), 1: (0, 7)})


@pytest.mark.parametrize(
    ("marks", "code"),
    [((6, 9), "offset_before_beginning"), ((0, 4), "offset_past_end")],
)
def test_offsets_that_are_not_there_are_refused(marks: tuple[int, int], code: str) -> None:
    """By one, on either side."""
    with pytest.raises(UnusableSnapshotError, match="log") as raised:
        require_offsets(SOURCE, {0: marks, 1: (0, 7)})
    assert raised.value.code == code
