"""Publishes messages that most clients refuse to write, such as header names that are not UTF-8.

aiokafka encodes a batch in Python if told to, so that a header name can be any bytes. It is told
by an environment variable at its import, hence in a process of its own: `publish` starts one.
"""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as its bytes; `codec` is aiokafka's name of a compression, or None."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    timestamp_ms: int | None = None
    codec: str | None = None


def publish(bootstrap: str, messages: Sequence[RawMessage]) -> list[int]:
    """Publish in order, each acknowledged before the next; return the offsets, -1 if refused."""
    lines = "\n".join(json.dumps(_packed(message)) for message in messages)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.raw_producer", bootstrap],
        cwd=ROOT,
        env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"},
        input=lines,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(line) for line in done.stdout.split()]


def _packed(message: RawMessage) -> list[Any]:
    headers = [[_text(name), _text(value)] for name, value in message.headers]
    return [
        message.topic, message.partition, _text(message.key), _text(message.value), headers,
        message.timestamp_ms, message.codec,
    ]  # fmt: skip


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


class _AnyBytes(str):
    """A header name that is written as the bytes that it holds in latin-1."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return str.encode(self, "latin-1")


async def _publish_all(bootstrap: str) -> None:
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    producers: dict[str | None, AIOKafkaProducer] = {}
    try:
        for line in sys.stdin:
            topic, partition, key, value, headers, timestamp_ms, codec = json.loads(line)
            if codec not in producers:
                producers[codec] = AIOKafkaProducer(
                    bootstrap_servers=bootstrap, compression_type=codec, max_request_size=2**30
                )
                await producers[codec].start()
            names = [(_AnyBytes(_bytes(n).decode("latin-1")), _bytes(v)) for n, v in headers]  # type: ignore[union-attr]
            try:
                sent = await producers[codec].send_and_wait(
                    topic, _bytes(value), _bytes(key), partition, timestamp_ms, names
                )
                print(sent.offset)
            except (KafkaError, AssertionError) as error:  # or the client: no key and no value
                print(f"{topic}[{partition}]: {error!r}", file=sys.stderr)
                print(-1)
    finally:
        for producer in producers.values():
            await producer.stop()


if __name__ == "__main__":
    asyncio.run(_publish_all(sys.argv[1]))
