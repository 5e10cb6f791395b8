"""The sending half of the Kafka producer."""

from typing import TYPE_CHECKING, Protocol

from visualsearch.client.messages import OutgoingMessage

if TYPE_CHECKING:
    from concurrent.futures import Future


class MessageSender(Protocol):
    """Sends messages, as `visualsearch.client.producer.Producer` does."""

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Send a message; the future is done when the broker has acknowledged it."""
