"""Messages that are written for as long as it takes, or refused for good."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from streams.kafka.delivery import TRIES_ALONE, Write, deliver
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError

GOOD, BAD = (OutgoingMessage("t", None, value) for value in (b"good", b"bad"))
AWAY = SendError("away", too_large=False)
REFUSED = SendError("too large", too_large=True)
Says = Callable[[int, OutgoingMessage], SendError | None]


class Broker:
    """Says of each message of its n-th send what becomes of it; notes what it takes."""

    def __init__(self, says: Says) -> None:
        self.says = says
        self.sends: list[list[OutgoingMessage]] = []
        self.taken: list[OutgoingMessage] = []

    async def send_each(self, messages: Sequence[OutgoingMessage]) -> list[SendError | None]:
        """Take what is not refused."""
        self.sends.append(list(messages))
        errors = [self.says(len(self.sends), message) for message in messages]
        self.taken += [m for m, error in zip(messages, errors, strict=True) if error is None]
        return errors


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("streams.kafka.delivery.APART_S", 0.001)


async def delivered(says: Says, *writes: Write) -> tuple[Broker, list[SendError | None], float]:
    """Return a broker that was written to, what is refused, and how many failures were counted."""
    broker: Any = Broker(says)
    failures = Counter("failures", "Of writes.", registry=CollectorRegistry())
    refused = await deliver(broker, writes, what="a test", failures=failures)
    return broker, refused, failures._value.get()


async def test_what_may_pass_is_tried_for_as_long_as_it_takes() -> None:
    """All of it, each time; each failure is counted."""
    broker, refused, failures = await delivered(
        lambda send, _: AWAY if send < 6 else None, Write(GOOD), Write(GOOD)
    )
    assert (refused, failures) == ([None, None], 5)
    assert len(broker.taken) == 2


async def test_what_is_refused_is_tried_alone_and_then_returned() -> None:
    """Its neighbor is written once, and stays written."""
    broker, refused, failures = await delivered(
        lambda _, message: REFUSED if message is BAD else None, Write(GOOD), Write(BAD)
    )
    assert (refused, failures, broker.taken) == ([None, REFUSED], 0, [GOOD])
    assert broker.sends == [[GOOD, BAD]] + [[BAD]] * TRIES_ALONE


async def test_what_is_refused_beside_others_only_is_written() -> None:
    """A broker judges the batch that the client made."""
    broker, refused, _ = await delivered(
        lambda send, _: REFUSED if send == 1 else None, Write(GOOD), Write(BAD)
    )
    assert (refused, broker.taken) == ([None, None], [GOOD, BAD])


async def test_a_broker_that_goes_away_meanwhile_is_waited_for() -> None:
    """Alone a message may fail as well; nothing is known of it then."""
    broker, refused, _ = await delivered(
        lambda send, _: {1: REFUSED, 2: AWAY}.get(send), Write(BAD)
    )
    assert (refused, broker.taken) == ([None], [BAD])


async def test_a_required_message_waits_until_its_topic_is_mended() -> None:
    """There is nothing to write instead of it."""
    broker, refused, failures = await delivered(
        lambda send, _: REFUSED if send < 4 else None, Write(BAD, required=True)
    )
    assert (refused, failures, broker.taken) == ([None], 3, [BAD])


async def test_an_error_of_ours_is_raised_at_once() -> None:
    """Trying it forever would hide it."""

    def defect(*_: object) -> SendError | None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await delivered(defect, Write(GOOD))
