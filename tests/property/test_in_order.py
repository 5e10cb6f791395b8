"""Acknowledgement in order against a model: any completions, late ones and doubled ones too."""

from functools import partial
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.in_order import OrderedAcks

PARTITIONS = 2
Step = tuple[Literal["add", "finish", "forget"], int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(("add", "add", "add", "finish", "finish", "finish", "forget")),
        st.integers(0, 30),
    ),
    min_size=4,
    max_size=40,
)


def check_in_order(steps: list[Step]) -> None:
    """Check after each step: per partition, exactly the finished prefix is acknowledged, once.

    A completion may come twice, or for an item of a former assignment. Neither acknowledges.
    """
    in_order = OrderedAcks()
    acknowledged: list[int] = []
    completions = []
    unacknowledged: list[list[int]] = [[] for _ in range(PARTITIONS)]
    finished: set[int] = set()
    expected: list[int] = []
    for action, number in steps:
        if action == "add":
            item, partition = len(completions), number % PARTITIONS
            done = partial(acknowledged.append, item)
            completions.append(in_order.add(("t", partition), done))
            unacknowledged[partition].append(item)
        elif action == "forget":
            in_order.clear()
            unacknowledged = [[] for _ in range(PARTITIONS)]
        elif completions:
            item = number % len(completions)
            finished.add(item)
            completions[item]()
        for items in unacknowledged:
            while items and items[0] in finished:
                expected.append(items.pop(0))
        assert acknowledged == expected


@given(STEPS)
def test_exactly_the_finished_prefix_is_acknowledged(steps: list[Step]) -> None:
    """Of the assignment that holds now; `forget` ends an assignment."""
    check_in_order(steps)
