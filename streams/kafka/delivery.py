"""The retry policy of writes to Kafka.

- Forever: transient failures of Kafka or the network. For product events only `deliver` does so.
- Three times: a message that its topic refuses is sent alone (here). A message whose handler fails
  is handled again (`Window`, `Batches`). After that a dead letter is written.
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
APART_S = 0.1  # longest random pause before a try


@dataclass(frozen=True, slots=True)
class Write:
    """A message to write. A `required` one is retried until its topic accepts it."""

    message: OutgoingMessage
    required: bool = False


async def deliver(
    producer: Producer, writes: Sequence[Write], *, what: str, failures: Counter
) -> list[SendError | None]:
    """Write all, retrying transient failures forever; return the final error per message, or None.

    A transient failure is counted in `failures`, and all messages are sent again.
    """
    return await retry_forever(partial(_send, producer, writes, failures), what=what)


async def _send(
    producer: Producer, writes: Sequence[Write], failures: Counter
) -> list[SendError | None]:
    """Send all, then each refused message alone. Raises SendError for transient failures."""
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
    """Send a refused message alone; return the error if it is refused again.

    A broker refuses whole batches, and the client batches the messages of concurrent senders: hence
    three tries with random pauses. Raises SendError for transient failures.
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
