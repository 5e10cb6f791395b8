"""The demonstration's judgement: precisions, percentiles and the plan of its single events."""

import json
from collections import Counter
from typing import Any

import pytest

from streams.tools.demo.dataset import Question, Truth, interleave
from streams.tools.demo.figures import (
    Figures,
    Recovery,
    flat,
    percentiles,
    percentiles_by_kind,
    precisions,
)
from streams.tools.demo.freshness import plan_events
from streams.tools.demo.page import facts
from streams.tools.demo.searching import Precision, TimedAnswer, precision
from streams.tools.fsck.report import Finding, Report
from visualsearch.contracts.events import ImageSource, Product, ProductDeleted, ProductOfferUpdated
from visualsearch.contracts.search import SearchHit, SearchResult

RED_MUG, BLUE_MUG, RED_HAT = Truth("mug", "red"), Truth("mug", "blue"), Truth("hat", "red")


class Goods:
    """A catalog of two products."""

    total = 2
    truth: dict[str, Truth] = {}  # noqa: RUF012 - never changed

    def products(self) -> None:
        """Not used here."""

    def prepare(self, fresh: int) -> None:
        """Nothing to prepare."""

    def questions(self) -> list[Question]:
        """Nothing to ask."""
        return []

    def new_product(self, number: int) -> Product:
        """Return a new product."""
        return Product(
            product_id=f"new-{number}", title="T", price=5, images=[ImageSource(data="AA==")]
        )

    def changed_product(self, number: int) -> Product:
        """Return one of two."""
        return Product(
            product_id=f"old-{number % 2}", title="T", price=5, images=[ImageSource(data="AA==")]
        )

    def offer_product_id(self, number: int) -> str:
        """Return the other one."""
        return f"old-{(number + 1) % 2}"

    def another_product_id(self, product_id: str) -> str:
        """Return the other one."""
        return "old-1" if product_id == "old-0" else "old-0"

    def phone_photo(self) -> bytes | None:
        """Return no photo."""
        return None


def answered(*product_ids: str, error: bool = False) -> SearchResult:
    """Return a result with these hits."""
    hits = [
        SearchHit(product_id=name, score=1.0, image_id=f"{name}-picture", title="T")
        for name in product_ids
    ]
    return SearchResult(request_id="r", status="error" if error else "ok", hits=hits)


def figures(**more: Any) -> Figures:
    """Return the figures of a demonstration."""
    return Figures(
        products=1, vectors=2, rejected=0, load_s=1.0,
        freshness_ms=percentiles_by_kind([("create", 10.0), ("offer", 20.0), ("offer", 40.0)]),
        search_ms=percentiles_by_kind([("words", 1.0)]), phone_photo_to_40_ms=None,
        **precisions({}), dead_letters=0, broker="b", encoder="e", page="p", total_s=1.0, **more,
    )  # fmt: skip


def asked(right: Truth, *product_ids: str) -> TimedAnswer:
    """Return a question by words and its hits."""
    return TimedAnswer(Question("words", "w", right=right), answered(*product_ids), 1.0)


def test_precision_counts_the_first_ten_or_as_many_as_there_are() -> None:
    """Three mugs are held, two of them red: three hits tell of kind, two of color."""
    truth = {"m1": RED_MUG, "m2": RED_MUG, "m3": BLUE_MUG, "h1": RED_HAT}
    found = precision([asked(RED_MUG, "m1", "m3", "m2", "h1")], truth, "words")
    assert found == Precision(kind=1.0, color=0.5, kind_and_color=0.5)


def test_missing_hits_count_as_wrong() -> None:
    """An answer of one right hit is not perfect when there are three."""
    truth = {"m1": RED_MUG, "m2": RED_MUG, "m3": RED_MUG}
    found = precision([asked(RED_MUG, "m1")], truth, "words")
    assert found is not None
    assert found.kind == pytest.approx(1 / 3)


def test_a_question_asked_twice_is_judged_once() -> None:
    """Asking again for the clock's sake does not weigh a question more."""
    truth = {"m1": RED_MUG, "h1": RED_HAT}
    good, bad = asked(RED_MUG, "m1"), asked(RED_HAT, "m1")
    once = precision([good, bad], truth, "words")
    assert once == precision(
        [good, bad, TimedAnswer(good.question, good.result, 2.0)], truth, "words"
    )
    assert once is not None
    assert once.kind == 0.5


def test_without_truth_there_is_no_precision() -> None:
    """A user's catalog is not judged."""
    question = Question("words", "w")
    assert precision([TimedAnswer(question, answered("x"), 1.0)], {}, "words") is None
    assert set(precisions({"words": None}).values()) == {None}


def test_percentiles_by_kind_stand_beside_the_overall_ones() -> None:
    """The JSON has p50 and p99 of everything, and of each kind."""
    values = flat(figures())
    assert (values["freshness_ms"]["p50"], values["freshness_ms"]["n"]) == (20.0, 3)
    assert values["freshness_ms"]["offer"] == {"p50": 30.0, "p99": 39.8, "n": 2}
    assert values["search_ms"]["words"]["n"] == 1


def test_a_kill_and_its_check_are_told_to_people_and_machines() -> None:
    """Without one, there is nothing to tell."""
    plain = figures()
    assert flat(plain)["chaos"] is None
    assert "fsck" not in facts(plain)
    report = Report("http://w", expected=3, served=2)
    report.add("lost", Finding("gone", "p1"))
    told = flat(figures(chaos=Recovery(12.3, report.as_dict())))["chaos"]
    assert told["first_answer_s"] == 12.3
    assert (told["fsck"]["verdict"], told["fsck"]["counts"]["lost"]) == ("differences", 1)
    assert json.dumps(told)
    shown = facts(figures(chaos=Recovery(12.3, report.as_dict())))
    assert shown["kill -9 to the first answer"] == "12.3 s"
    assert shown["fsck"] == "differences: 2 of 3 products"


def test_percentiles_of_nothing_are_zero() -> None:
    """A demonstration without photos still prints."""
    assert percentiles([]).n == 0


def test_questions_come_in_turn() -> None:
    """However many are asked, all kinds are among them."""
    words, photo = [Question("words", str(n)) for n in range(3)], [Question("photo")]
    assert [q.kind for q in interleave(words, photo)] == ["words", "photo", "words", "words"]


def test_planned_events_are_mixed_and_spare_the_catalogue() -> None:
    """Only what the demonstration created is deleted, and only well after its creation."""
    singles = plan_events(Goods(), 200)
    kinds = Counter(single.kind for single in singles)
    assert kinds == {"create": 50, "update": 50, "offer": 58, "delete": 42}
    created_at = {
        s.event.product.product_id: n for n, s in enumerate(singles) if s.kind == "create"
    }
    for at, single in enumerate(singles):
        if isinstance(single.event, ProductDeleted):
            assert at - created_at[single.event.product.product_id] > 30
    assert len({single.event.event_id for single in singles}) == 200


def test_a_probe_recognises_its_event_and_nothing_less() -> None:
    """An answer from before the event is never taken for one after it."""
    for single in plan_events(Goods(), 16):
        product = single.event.product
        query, filters = single.probe.query, single.probe.filters
        assert query.similar_to != product.product_id, "a product is not similar to itself"
        assert not single.shown(answered(error=True)) or single.kind == "delete"
        if isinstance(single.event, ProductDeleted):
            assert single.shown(answered())
            assert not single.shown(answered("anything"))
        elif isinstance(single.event, ProductOfferUpdated):
            assert filters.price_min == filters.price_max == single.event.product.price
            assert not single.shown(answered())
            assert single.shown(answered(product.product_id))
        else:
            assert isinstance(product, Product)
            (tag,) = filters.tags
            assert product.tags == [tag]
            assert not single.shown(answered(product.product_id)), "its old pictures"
            new = answered(product.product_id)
            new.hits[0].image_id = f"{tag}-0"
            assert single.shown(new)
