"""The calls that go from one room of the code to another, while something runs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
# Each room imports those of the groups before it, never those of its own group or of later ones.
LAYERS = (
    ("visualsearch",),
    ("metrics",),
    ("config",),
    ("model", "images", "kafka"),
    ("indexer", "ingest"),
    ("snapshots", "searcher"),
    ("web",),
    ("tools", "worker"),
    ("cli",),
)
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


class Place(NamedTuple):
    """A function of the project."""

    room: str
    module: str
    function: str

    def __str__(self) -> str:
        """Return module:function."""
        return f"{self.module}:{self.function}"


class Call(NamedTuple):
    """A function of one room, called by one of another; the caller is the nearest of ours."""

    caller: Place
    callee: Place

    @property
    def upwards(self) -> bool:
        """Whether the caller should not know the callee."""
        return HEIGHT[self.caller.room] <= HEIGHT[self.callee.room]


class RoomCalls:
    """Records calls between rooms, on all threads that start while it is `installed`.

    What the event loop, a pool or a thread calls has no caller in a room, and is not recorded.
    """

    def __init__(self) -> None:
        self._found: dict[Call, None] | None = None  # in the order in which they were first seen
        self._places: dict[CodeType, Place | None] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Watch this thread and those that start in the block."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    @contextmanager
    def recorded(self) -> Iterator[dict[Call, None]]:
        """Give the calls that are made in the block."""
        self._found = {}
        try:
            yield self._found
        finally:
            self._found = None

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        found = self._found
        if found is None or event != "call" or (callee := self._place(frame.f_code)) is None:
            return
        back, caller = frame.f_back, None
        while back is not None and (caller := self._place(back.f_code)) is None:
            back = back.f_back
        if caller is not None and caller.room != callee.room:
            found.setdefault(Call(caller, callee))

    def _place(self, code: CodeType) -> Place | None:
        if code not in self._places:
            self._places[code] = _place_of(code)
        return self._places[code]


def _place_of(code: CodeType) -> Place | None:
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT):
        return None
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] not in ("streams", "visualsearch"):
        return None
    room = "visualsearch" if parts[0] == "visualsearch" else parts[1]
    return Place(room, ".".join(parts), code.co_qualname)
