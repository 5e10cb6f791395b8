"""A group's reader through rebalances and failing commits: no offset is committed too far."""

import asyncio
import random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.consumer_group import GroupConsumer
from tests.support.consumer_group import PARTITIONS, Group, Member, Working
from tests.support.log_replica import METRICS, TOPIC

MESSAGES = 12  # per partition, at most
TURNS = 12
SEEDS = st.integers(0, 2**32)


async def _life(rng: random.Random) -> Group:
    """Return a group after a reader has lived in it, at first among troubles."""
    group = Group([rng.randint(0, MESSAGES) for _ in range(PARTITIONS)])
    member, sink = Member(rng, group), Working(rng, group)
    reader = GroupConsumer({}, "g", [TOPIC], sink, METRICS, session_timeout_s=6.0, commit_s=0.0)
    try:
        with patch("confluent_kafka.Consumer", member.configure):
            consumer = await reader._call(reader._join)
        for _ in range(TURNS):
            await reader._poll_once(consumer)
            sink.finish(rng.choice((0.0, 0.3, 0.8)))
        member.calm = True
        for _ in range(4 * MESSAGES):
            await reader._poll_once(consumer)
            sink.finish(1.0)
            if group.committed == group.ends:
                break
    finally:
        await reader.close(0.0)
    return group


def check_commits(seed: int) -> None:
    """Check each commit (see `Group.commit`), and that in the end everything is committed."""
    group = asyncio.run(_life(random.Random(seed)))
    assert group.committed == group.ends


@given(SEEDS)
def test_only_a_finished_prefix_is_committed_and_all_of_it_in_the_end(seed: int) -> None:
    """Whatever is revoked or lost, and whichever commit fails."""
    check_commits(seed)
