"""Publish one message whose header name is not UTF-8, as C, Go or Node clients can.

A program of its own, `python -m tests.poison_header BOOTSTRAP TOPIC KEY VALUE`: only aiokafka
without its C extension writes such a name, and what decides that is read at its import.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path


class NotUtf8(str):
    """A name that is written as these bytes."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        """Return bytes that no decoder of UTF-8 takes."""
        return b"\xff\xfe\x80"


def publish_poison(bootstrap: str, topic: str, key: str, value: str) -> None:
    """Publish the message from a process of its own."""
    command = [sys.executable, "-m", "tests.poison_header", bootstrap, topic, key, value]
    environment = os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[1])


async def main(bootstrap: str, topic: str, key: str, value: str) -> None:
    """Publish it from this one."""
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        header = (NotUtf8("x"), b"v")
        await producer.send_and_wait(
            topic, key=key.encode(), value=value.encode(), headers=[header]
        )
    finally:
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
