"""Counts, excuses, exit statuses; and ranges that are behind."""

from streams.tools.fsck.cluster import _runs
from streams.tools.fsck.lateness import Lateness, unprocessed_ranges
from streams.tools.fsck.report import DIFFERENCES, Finding, Report


def report(**counts: int) -> Report:
    """Return a report with so many findings."""
    made = Report("http://w")
    for name, count in counts.items():
        for number in range(count):
            made.add(name, Finding("detail", f"p{number}", "t[0]@1"))
    return made


def test_the_exit_status_tells_clean_differences_and_late_apart() -> None:
    """Differences outweigh lateness; what could not be judged is no difference."""
    assert (report().status, report().verdict) == (0, "clean")
    assert report(unchecked=3).status == 0
    assert (report(late=1).status, report(late=1).verdict) == (2, "late")
    for name in DIFFERENCES:
        assert report(**{name: 1, "late": 1}).status == 1


def test_json_counts_all_and_shows_twenty() -> None:
    """A broken index must not fill a terminal."""
    body = report(lost=31, stale=1).as_dict()
    assert (body["counts"]["lost"], body["counts"]["stale"]) == (31, 1)
    assert (len(body["examples"]["lost"]), body["verdict"]) == (20, "differences")
    assert "resurrected" not in body["examples"]


def test_products_that_are_late_or_changing_are_not_called_different() -> None:
    """Their differences are told as what they are; others stay."""
    made = report(lost=2, stale=1)
    made.reclassify({"p0"}, "late", "not yet worked on")
    assert (made.counts["lost"], made.counts["stale"], made.counts["late"]) == (1, 0, 2)
    assert made.findings["late"][0].detail == "not yet worked on (lost: detail)"
    assert made.status == 1


def test_what_is_behind_is_from_the_committed_offset_to_the_end() -> None:
    """Where nothing was committed from the first message on; truncated ones are no debt."""
    bounds = {("t", 0): (0, 10), ("t", 1): (0, 10), ("t", 2): (5, 10), ("t", 3): (4, 4)}
    reached = {("t", 0): 10, ("t", 1): 4, ("t", 2): 2}
    assert unprocessed_ranges(bounds, reached) == {("t", 1): (4, 10), ("t", 2): (5, 10)}


def test_two_lanes_debts_are_one_range() -> None:
    """Each is told, the products of both are late."""
    late = Lateness()
    late.add("a", {("t", 0): (4, 10)})
    late.add("b", {("t", 0): (7, 10)})
    assert late.ranges == {("t", 0): (4, 10)}
    assert [f.source for f in late.findings] == ["t[0]@4", "t[0]@7"]


def test_places_near_each_other_are_read_in_one_go() -> None:
    """Those far apart, or of other partitions, are sought."""
    places = [("t", 0, 1), ("t", 0, 9), ("t", 0, 900), ("t", 1, 901)]
    assert list(_runs(places)) == [
        (("t", 0, 1), ("t", 0, 9)), (("t", 0, 900),) * 2, (("t", 1, 901),) * 2]  # fmt: skip
    assert list(_runs([])) == []
