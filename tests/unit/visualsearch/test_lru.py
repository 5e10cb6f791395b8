"""The bounded memory."""

from visualsearch.lru import Lru


def test_it_forgets_what_was_unused_for_longest() -> None:
    """A get counts as use."""
    lru = Lru[str, bytes](2)
    lru.put("a", b"1")
    lru.put("b", b"2")
    lru.get("a")
    lru.put("c", b"3")
    assert [lru.get(name) for name in "abc"] == [b"1", None, b"3"]


def test_a_new_value_takes_the_place_of_the_old_and_counts_as_use() -> None:
    """Nothing else goes for it; a look at all values counts for none."""
    lru = Lru[str, int](2)
    lru.put("a", 1)
    lru.put("b", 2)
    lru.put("a", 3)
    assert sorted(lru.values()) == [2, 3]
    lru.put("c", 4)
    assert [lru.get(name) for name in "abc"] == [3, None, 4]
