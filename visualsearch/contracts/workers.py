"""What each worker says of itself, every few seconds, on the compacted topic `workers`.

Key: the worker's id. A tombstone is an orderly stop. Later versions add fields; readers ignore
those that they do not know.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import Name, Timestamp, Url


class WorkerHeartbeat(Struct, kw_only=True):
    """A worker as it is now; the record's time stamp, the broker's, says when that was.

    `offsets` holds per partition of the index log the next offset that it will apply. `url` is
    absent until its HTTP server listens.
    """

    worker_id: Name
    url: Url | None = None
    roles: Annotated[list[Name], Meta(max_length=100)] = []
    version: Annotated[str, Meta(max_length=1024)] = ""
    ready: bool = False
    offsets: Annotated[dict[int, int], Meta(max_length=100_000)] = {}
    started_at: Timestamp


_DECODER = msgspec.json.Decoder(WorkerHeartbeat)


def encode_heartbeat(heartbeat: WorkerHeartbeat) -> bytes:
    """Encode a heartbeat as JSON."""
    return msgspec.json.encode(heartbeat)


def decode_heartbeat(value: bytes) -> WorkerHeartbeat:
    """Decode a heartbeat. Raises SchemaError `heartbeat_invalid`."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaError("heartbeat_invalid", str(error)) from None
