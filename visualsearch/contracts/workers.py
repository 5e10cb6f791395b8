"""Heartbeats: each worker's state, published every few seconds to the compacted topic `workers`.

Key: the worker's id. A null value (a tombstone) means an orderly stop. Later versions add fields,
and readers ignore unknown ones.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import Name, Timestamp, Url

WorkerRole = Annotated[Name, Meta(title="WorkerRole")]


class WorkerHeartbeat(Struct, kw_only=True):
    """The state of a worker at the record's timestamp, which the broker sets."""

    worker_id: Name
    """Id of the worker; the key of the message is the same."""
    url: Url | None = None
    """Address of the worker's HTTP server; null until it listens."""
    roles: Annotated[list[WorkerRole], Meta(max_length=100)] = []
    """What the worker does: `ingest`, `search` or both."""
    version: Annotated[str, Meta(max_length=1024)] = ""
    """Version of visualsearch that the worker runs."""
    ready: bool = False
    """Whether the worker answers requests: `/readyz` says the same."""
    offsets: Annotated[dict[int, int], Meta(title="Offsets", max_length=100_000)] = {}
    """Per partition of the index log, the next offset that the worker applies."""
    started_at: Timestamp
    """When the worker started."""


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
