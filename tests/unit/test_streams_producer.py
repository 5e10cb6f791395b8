"""The producer without a broker; what needs one is in the integration tier."""

import asyncio

from streams.messages import OutgoingMessage
from streams.producer import Producer


async def test_a_sender_that_stops_waiting_takes_nothing_from_the_delivery() -> None:
    """What is sent cannot be unsent: a cancelled future would end the thread of all deliveries."""
    with Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}) as producer:
        sent = producer.submit(OutgoingMessage("topic", b"key", b"value"))
        waiting = asyncio.wrap_future(sent)
        waiting.cancel()
        await asyncio.sleep(0)  # wrapping hands the cancellation on in the loop's next turn
        assert not sent.cancelled()
        producer._producer.purge()
        assert producer._producer.flush(10) == 0
        assert sent.exception(10) is not None
        assert producer._thread.is_alive()
