"""What a tail makes of one poll: messages, batches that cannot be read, ends, and cut logs."""

from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.support.scripted_consumer import END, TOPIC, UNREADABLE, Said, ScriptedConsumer, tail_on
from visualsearch.client import tail as module
from visualsearch.client.tail import LogCutError, Polled, Position, topic_partition
from visualsearch.client.unreadable import UnreadableBatch


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the offsets at which batches were stepped over, each of three offsets."""
    offsets: list[int] = []

    def step_over(_: object, __: object, notice: Any) -> UnreadableBatch:
        offsets.append(notice.offset())
        at = notice.offset()
        return UnreadableBatch(TOPIC, notice.partition(), at, at + 2, "x")

    monkeypatch.setattr(module, "skip_unreadable_batch", step_over)
    return offsets


def polled(*said: Said, steps_over: bool = True) -> Polled:
    """Return what a tail makes of one list."""
    return tail_on(ScriptedConsumer(said), steps_over=steps_over).poll(100, 0.0)


def offsets_of(found: Polled) -> list[int]:
    """Return the offsets of the messages."""
    return [message.offset() for message in found.messages]


def test_a_notice_that_is_queued_twice_is_one_batch(stepped: list[int]) -> None:
    """The seek behind the batch does not take back what was in the same list."""
    notice = Said(4, code=UNREADABLE)
    found = polled(Said(3), notice, notice, Said(0, place=1), notice)
    assert stepped == [4]
    assert [(batch.first, batch.last) for batch in found.unreadable] == [(4, 6)]
    assert offsets_of(found) == [3, 0]


def test_what_follows_a_batch_comes_again_and_is_not_given_twice(stepped: list[int]) -> None:
    """The seek goes back to the end of the batch, before messages that are in the list."""
    found = polled(Said(4, code=UNREADABLE), Said(7), Said(8), Said(9, code=END))
    assert (stepped, offsets_of(found), found.ends) == ([4], [], {})


def test_a_notice_behind_what_was_read_is_an_old_one(stepped: list[int]) -> None:
    """Stepping over it would seek back, and give the messages after it once more."""
    found = polled(Said(6), Said(7), Said(4, code=UNREADABLE), Said(8))
    assert (stepped, found.unreadable) == ([], [])
    assert offsets_of(found) == [6, 7, 8]


def test_a_batch_that_could_not_be_stepped_over_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broker did not answer: the next poll has the same notice."""
    monkeypatch.setattr(module, "skip_unreadable_batch", lambda *_: None)
    found = polled(Said(4, code=UNREADABLE), Said(5))
    assert offsets_of(found) == [5]
    assert found.notes == [f"error {UNREADABLE}"]


def test_a_batch_is_only_reported_where_asked_for(stepped: list[int]) -> None:
    """By its first offset, which is all that is known without looking for its end."""
    found = polled(Said(4, code=UNREADABLE), steps_over=False)
    assert stepped == []
    assert [(batch.first, batch.last) for batch in found.unreadable] == [(4, 4)]


def test_ends_are_told_beside_messages_and_notes_are_neither() -> None:
    """An end after a transaction's marker is farther than the last message."""
    lost = Said(-1001, -1, KafkaError._TRANSPORT, topic_name=None)
    found = polled(Said(3), lost, Said(5, code=END))
    assert (offsets_of(found), found.ends) == ([3], {(TOPIC, 0): 5})
    assert found.notes == [f"error {KafkaError._TRANSPORT}"]
    assert found
    assert not polled(lost)
    assert not polled()


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION])
def test_an_offset_that_is_gone_is_the_end(code: int) -> None:
    """Skipping would be silent."""
    with pytest.raises(LogCutError, match=rf"t\[1\]: error {code}"):
        polled(Said(3), Said(2, place=1, code=code))


def test_ends_of_fetches_are_known_after_the_first() -> None:
    """A partition that is left has none any more."""
    tail = tail_on(ScriptedConsumer())
    tail.assign({(TOPIC, 0): Position(2), (TOPIC, 1): None})
    assert tail.highs() == {(TOPIC, 0): 7}
    tail.leave((TOPIC, 0))
    assert tail.highs() == {}


def test_what_is_assigned_has_the_epoch_where_it_is_known() -> None:
    """Else the beginning, which no reset policy has a say in."""
    at = topic_partition((TOPIC, 1), Position(9, 4))
    assert (at.topic, at.partition, at.offset, at.leader_epoch) == (TOPIC, 1, 9, 4)
    assert topic_partition((TOPIC, 1), Position(9)).leader_epoch is None
    assert topic_partition((TOPIC, 0), None).offset == -2
