"""What is asked about offsets, and what becomes of no answer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from visualsearch.client.offsets import Offsets, OffsetsError

UNKNOWN = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "no such topic")


class Asked:
    """A consumer that knows two partitions of `t`, the second of them without a leader."""

    def list_topics(self, topic: str, timeout: float) -> Any:
        """Return the metadata of a topic."""
        assert timeout == 3.0
        partitions = {0: SimpleNamespace(leader=1), 1: SimpleNamespace(leader=-1)}
        known = SimpleNamespace(error=None, partitions=partitions)
        unknown = SimpleNamespace(error=UNKNOWN, partitions={})
        return SimpleNamespace(topics={topic: known if topic == "t" else unknown})

    def get_watermark_offsets(self, at: TopicPartition, timeout: float) -> tuple[int, int]:
        """Return beginning and end."""
        assert timeout == 3.0
        return at.partition, 10 + at.partition

    def offsets_for_times(
        self, wanted: Sequence[TopicPartition], timeout: float
    ) -> list[TopicPartition]:
        """Return the time as an offset, and -1 behind the end."""
        assert timeout == 3.0
        return [TopicPartition(at.topic, at.partition, min(at.offset, 9) if at.partition else -1)
                for at in wanted]  # fmt: skip

    def committed(self, wanted: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Return what was committed: nothing for partition 0."""
        assert timeout == 3.0
        offsets = {0: -1001, 1: 0}
        return [TopicPartition(at.topic, at.partition, offsets[at.partition]) for at in wanted]


class Silent:
    """A consumer that no broker answers."""

    def __getattr__(self, _: str) -> Any:
        """Raise as each question does."""

        def ask(*_: object, **__: object) -> None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out"))

        return ask


BOTH = [("t", 0), ("t", 1)]


def test_what_is_known_is_told_by_partition() -> None:
    """A group that committed nothing has no offset, not a negative one."""
    offsets = Offsets(Asked(), 3.0)
    assert offsets.partitions("t") == [0, 1]
    assert offsets.count("t") == 2
    assert offsets.bounds(BOTH) == {("t", 0): (0, 10), ("t", 1): (1, 11)}
    assert offsets.ends("t") == {("t", 0): 10, ("t", 1): 11}
    assert offsets.at_time(BOTH, 7) == {("t", 0): -1, ("t", 1): 7}
    assert offsets.committed(BOTH) == {("t", 1): 0}
    assert offsets.committed([]) == {}


def test_a_topic_that_lacks_a_leader_or_does_not_exist() -> None:
    """A figure about half of a topic would mislead."""
    offsets = Offsets(Asked(), 3.0)
    assert offsets.led("t") == []
    assert (offsets.count("u"), offsets.led("u")) == (0, [])
    with pytest.raises(OffsetsError, match="no such topic"):
        offsets.partitions("u")


def test_no_answer_is_an_error_of_the_connection() -> None:
    """Whoever asks need not know the client's own errors."""
    offsets = Offsets(Silent(), 3.0)
    for ask in (lambda: offsets.count("t"), lambda: offsets.bounds(BOTH),
                lambda: offsets.at_time(BOTH, 0), lambda: offsets.committed(BOTH)):  # fmt: skip
        with pytest.raises(ConnectionError, match="timed out"):
            ask()
