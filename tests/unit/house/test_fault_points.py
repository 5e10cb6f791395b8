"""The fault tier wraps the product's functions by name: a new name must not wait for its run."""

from importlib import import_module
from operator import attrgetter

import pytest

from tests.support.fault.points import POINTS, STEPS, Step


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_function_of_a_named_point_is_there(step: Step) -> None:
    """Or no worker could be killed in it."""
    module, _, path = step.target.partition(":")
    assert callable(attrgetter(path)(import_module(module)))


def test_points_have_names_of_their_own() -> None:
    """A name that two steps share would hide one of them."""
    assert len(POINTS) == sum(len(step.points) for step in STEPS)
