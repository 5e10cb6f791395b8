"""Messages written to Kafka: what is tried forever, and what three times.

- For ever: what may pass, because Kafka or the way to it is at fault. `deliver` alone does that
  for product events (`retry_forever`).
- Three times: sending alone a message that its topic refuses (here), and handling a message on
  which an error of ours is raised (`Window`, `Batches`). A dead letter is written after that.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import Counter

from streams.kafka.retry_forever import retry_forever
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer, SendError

TRIES_ALONE = 3
APART_S = 0.1


@dataclass(frozen=True, slots=True)
class Write:
    """A message to be written. A `required` one waits until its topic is mended to take it."""

    message: OutgoingMessage
    required: bool = False


async def deliver(
    producer: Producer, writes: Sequence[Write], *, what: str, failures: Counter
) -> list[SendError | None]:
    """Write all, for as long as it takes; return per message None, or why it is refused for good.

    All are sent again after a failure that may pass, each of which is counted.
    """
    return await retry_forever(partial(_send, producer, writes, failures), what=what)


async def _send(
    producer: Producer, writes: Sequence[Write], failures: Counter
) -> list[SendError | None]:
    """Send all once, and alone what is refused. Raises SendError for what may pass."""
    errors = await producer.send_each([write.message for write in writes])
    for write, error in zip(writes, errors, strict=True):
        if error is not None and (write.required or not error.refused):
            failures.inc()
            raise SendError(str(error), too_large=False) from error
    return [
        None if error is None else await _send_alone(producer, write.message)
        for write, error in zip(writes, errors, strict=True)
    ]


async def _send_alone(producer: Producer, message: OutgoingMessage) -> SendError | None:
    """Send by itself what was refused; return the error if it is refused again.

    A broker refuses a batch as a whole, and the client makes batches of what several senders
    give it at the same time: hence the pauses, and three tries. Raises SendError.
    """
    error: SendError | None = None
    for _ in range(TRIES_ALONE):
        await asyncio.sleep(random.uniform(0.0, APART_S))
        (error,) = await producer.send_each([message])
        if error is None or not error.refused:
            break
    if error is not None and not error.refused:
        raise error
    return error
