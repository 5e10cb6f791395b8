"""What each worker says of itself, every few seconds, on the compacted topic `workers`.

Key: the worker's id. A tombstone is an orderly stop. Later versions add fields; readers ignore
those that they do not know.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from schemas.errors import SchemaError


class WorkerHeartbeat(Struct, kw_only=True):
    """A worker as it is now; the record's time stamp, the broker's, says when that was.

    `offsets` holds per partition of the index log the next offset that it will apply. `url` is
    absent until its HTTP server listens.
    """

    worker_id: str
    url: str | None = None
    roles: list[str] = []
    version: str = ""
    ready: bool = False
    offsets: dict[int, int] = {}
    started_at: datetime


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
