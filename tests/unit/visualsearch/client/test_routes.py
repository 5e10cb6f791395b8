"""Where a client sends an unanswered request again."""

import random

from visualsearch.client.routes import Routes

NAMES = [f"request-{n}" for n in range(200)]


def test_it_goes_to_the_partition_that_answered_last() -> None:
    """Not to that which is silent, and not to one that was answering a while ago."""
    routes = Routes(4)
    assert {routes.partition_for(name) for name in NAMES} == {0, 1, 2, 3}
    for partition in (1, 3, 2, 3):
        routes.record_answer(partition)
    assert routes.resend_partition(0) == 3
    assert routes.resend_partition(3) == 2, "another one, even if it has just answered"


def test_without_any_answer_it_goes_to_any_other_partition() -> None:
    """The first request of a client may be the one that nobody answers."""
    routes = Routes(4, random.Random(1))
    chosen = {(first, routes.resend_partition(first)) for first in range(4) for _ in range(50)}
    assert chosen == {(a, b) for a in range(4) for b in range(4) if a != b}


def test_a_single_partition_is_the_only_choice() -> None:
    """Sending again is still worth it: the answer may have been lost."""
    routes = Routes(1)
    assert routes.resend_partition(0) == 0
    routes.record_answer(0)
    assert routes.resend_partition(0) == 0
