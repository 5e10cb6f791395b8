"""A client's unanswered request: sent again at half its deadline, the first answer counts."""

import json
import time

import msgspec
import pytest

from tests.support.peer import PARTITIONS, Peer, named

DEADLINE_MS = 1_000


@pytest.mark.parametrize("alive", range(PARTITIONS))
def test_the_second_copy_goes_to_a_partition_that_answers(peer: Peer, alive: int) -> None:
    """Same id, same body; the caller sees the first answer, the second is nobody's."""
    client = peer.client()
    answered = client.submit(named(alive, "answered"))
    message = peer.request()
    assert message is not None
    assert message.partition() == alive
    peer.answer(message)
    answered.result(20)
    sent_at = time.monotonic()
    unanswered = client.submit(request := named(1 - alive, "unanswered", DEADLINE_MS))
    copies = [peer.request(), peer.request()]
    assert [m and m.partition() for m in copies] == [1 - alive, alive]
    assert copies[0] is not None
    assert copies[1] is not None
    assert {m and m.value() for m in copies} == {msgspec.json.encode(request)}
    assert time.monotonic() - sent_at >= DEADLINE_MS / 2000
    assert copies[0].headers() != copies[1].headers(), "one correlation id per send"
    peer.answer(copies[1], 1.0)
    peer.answer(copies[0], 2.0)
    assert unanswered.result(20).took_ms.total == 1.0
    after = client.submit(last := named(alive, "after"))
    peer.answer(peer.request())
    assert after.result(20).request_id == last.request_id
    assert not client._pending
    assert not client._sends


def test_a_client_that_does_not_send_again_gives_up_at_its_deadline(peer: Peer) -> None:
    """One copy, and then the error that says what to look at."""
    client = peer.client(grace_s=0.5, resend=False)
    future = client.submit(request := named(0, "once", DEADLINE_MS))
    with pytest.raises(TimeoutError, match="no worker answered"):
        future.result(20)
    message = peer.request()
    assert message is not None
    assert json.loads(message.value())["request_id"] == request.request_id
    assert peer.request(within_s=0.5) is None
