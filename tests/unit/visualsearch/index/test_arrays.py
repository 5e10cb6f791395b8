"""Growing arrays and the queue of rows, against lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.index.arrays import RowQueue, ascending, grown

steps = st.lists(st.one_of(st.lists(st.integers(0, 10**6), max_size=700), st.integers(0, 900)))


def test_a_grown_array_keeps_its_cells_and_leaves_the_former() -> None:
    """It at least doubles, so that growing costs the same per cell forever."""
    former = np.array([1, 2, 3], dtype=np.int32)
    larger = grown(former, 100, -1)
    assert larger[:3].tolist() == [1, 2, 3]
    assert (larger[3:] == -1).all()
    assert grown(larger, 100, -1) is larger
    assert len(grown(larger, len(larger) + 1, -1)) >= 2 * len(larger)
    assert former.tolist() == [1, 2, 3]
    assert larger.dtype == former.dtype


@given(ids=st.lists(st.integers(0, 40)))
def test_ascending_is_sorted_and_different(ids: list[int]) -> None:
    """As `np.unique` would have it."""
    assert ascending(np.array(ids, dtype=np.int64)).tolist() == sorted(set(ids))


@given(steps=steps)
def test_a_queue_gives_rows_in_order_and_never_changes_what_it_gave(
    steps: list[list[int] | int],
) -> None:
    """A search reads what waited when its view was taken, whatever comes and goes."""
    queue, truth = RowQueue(), list[int]()
    given_out: list[tuple[np.ndarray, list[int]]] = []
    for step in steps:
        if isinstance(step, int):
            count = min(step, len(truth))
            queue.pop(count)
            del truth[:count]
        else:
            queue.push(step)
            truth += step
        assert len(queue) == len(truth)
        assert queue.waiting().tolist() == truth
        given_out.append((queue.waiting(), list(truth)))
    for waiting, then in given_out:
        assert waiting.tolist() == then
