"""One product beside its truth: each way to differ has its name."""

from typing import Any

import pytest

from streams.tools.fsck.compare import differences, matching, may_be_searchable, must_be_searchable
from streams.tools.fsck.history import Claim, ExpectedImages, ExpectedProduct
from streams.tools.fsck.values import (
    OfferFields,
    Order,
    Orders,
    ProductFields,
    ServedImage,
    ServedProduct,
)

NEW, OLD = (2, 7, 0), (1, 3, 0)
AT, BEFORE = ("t", 0, 7), ("t", 0, 3)
URL = ServedImage("0", url="http://h/0")
INLINE = ServedImage("1")
STORED = ServedImage("1", url="blob:abc")


def expected(**more: Any) -> ExpectedProduct:
    """Return the truth of a live product with two images and a price."""
    return ExpectedProduct(**({
        "base": [Claim(NEW, AT, ProductFields(title="T", tags=["x"]))],
        "offer": [Claim(NEW, AT, OfferFields(price=1.0))],
        "vectors": [Claim(NEW, AT, ExpectedImages([URL, INLINE]))],
    } | more))  # fmt: skip


def served(**more: Any) -> ServedProduct:
    """Return the same product as it should be served."""
    fields: dict[str, Any] = {
        "searchable": True,
        "orders": Orders(NEW, NEW, NEW),
        "base": ProductFields(title="T", tags=["x"]),
        "offer": OfferFields(price=1.0),
        "images": [URL, STORED],
    }
    return ServedProduct(product_id="p", **(fields | more))


GONE = ExpectedProduct(
    [Claim(NEW, AT, ProductFields(deleted=True))],
    [Claim(NEW, AT, OfferFields(deleted=True))],
    [Claim(NEW, AT, ExpectedImages())],
)
GONE_SERVED = served(
    searchable=False, base=ProductFields(deleted=True), offer=OfferFields(deleted=True), images=[]
)


def found(
    truth: ExpectedProduct | None, state: ServedProduct | None
) -> list[tuple[str, str | None]]:
    """Return categories and deciding events."""
    return [(category, finding.source) for category, finding in differences("p", truth, state)]


def details(truth: ExpectedProduct | None, state: ServedProduct | None) -> str:
    """Return the words of the only difference."""
    ((_, finding),) = differences("p", truth, state)
    return finding.detail


def test_what_is_as_it_should_be_is_not_reported() -> None:
    """Live, deleted, or only an offer."""
    assert found(expected(), served()) == []
    assert found(GONE, GONE_SERVED) == []
    only = ExpectedProduct(offer=[Claim(NEW, AT, OfferFields(price=1.0))])
    assert found(only, served(searchable=False, base=None, images=[],
                              orders=Orders(offer=NEW))) == []  # fmt: skip
    assert found(None, None) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "does not know it"),
        (served(searchable=False, base=None, orders=Orders(None, NEW, NEW)), "no attributes"),
        (served(searchable=False, images=[]), "no image"),
        (served(searchable=False, base=ProductFields(deleted=True)), "as deleted"),
    ],
)
def test_lost_is_what_must_be_found_and_is_not(state: ServedProduct | None, words: str) -> None:
    """Once, whatever else of it is wrong, with its last event."""
    assert found(expected(), state) == [("lost", "t[0]@7")]
    assert words in details(expected(), state)


@pytest.mark.parametrize(
    ("truth", "source"), [(None, None), (GONE, "t[0]@7"), (expected(vectors=[]), "t[0]@7")]
)
def test_resurrected_is_what_is_found_and_must_not_be(
    truth: ExpectedProduct | None, source: str | None
) -> None:
    """Never created, deleted, or without an image."""
    assert found(truth, served()) == [("resurrected", source)]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (served(orders=Orders(OLD, NEW, NEW)), "base: order (1, 3, 0) is served, older"),
        (served(orders=Orders(NEW, (3, 0, 0), NEW)), "newer than the expected"),
        (served(base=ProductFields(title="X", tags=["x"])), "title is 'X', expected 'T'"),
        (served(base=ProductFields(title="T")), "tags is"),
        (served(offer=OfferFields(price=2.0)), "price is '2.0', expected '1.0'"),
        (served(offer=None, orders=Orders(NEW, None, NEW)), "offer: nothing is served"),
        (served(images=[URL]), "images ['0'] are served, not ['0', '1']"),
        (served(images=[ServedImage("0", url="http://other"), STORED]), "vectors: "),
        (served(images=[ServedImage("0", "lifestyle", "http://h/0"), STORED]), "vectors: "),
    ],
)
def test_stale_is_another_state_of_a_product_that_is_rightly_found(
    state: ServedProduct, words: str
) -> None:
    """The words say what differs, and the event that should have made it."""
    assert found(expected(), state) == [("stale", "t[0]@7")]
    assert words in details(expected(), state)


def test_a_missing_delete_marker_is_stale() -> None:
    """Nothing is found yet; an older record that comes late would be."""
    assert [category for category, _ in found(GONE, None)] == ["stale"] * 3
    unknown = served(searchable=False, images=[], base=None, orders=Orders(offer=NEW))
    assert "no event of that kind" in details(None, unknown)


def test_a_picture_twice_is_duplicated_unless_its_event_says_so() -> None:
    """An id of its own may be the number of another."""
    twice = served(images=[URL, URL, STORED])
    assert found(expected(), twice) == [("duplicated", "t[0]@7")]
    said = expected(vectors=[Claim(NEW, AT, ExpectedImages([URL, URL, INLINE]))])
    assert found(said, twice) == []


def test_pictures_that_failed_may_be_missing() -> None:
    """Those, and no others."""
    truth = expected(vectors=[Claim(NEW, AT, ExpectedImages([URL, INLINE], frozenset({1})))])
    assert found(truth, served(images=[URL])) == []
    assert found(truth, served()) == []  # replayed
    assert [category for category, _ in found(truth, served(images=[STORED]))] == ["stale"]


@pytest.mark.parametrize(
    ("order", "images", "good"),
    [(NEW, [URL], True), (OLD, [STORED], True), (OLD, [URL], False), (None, [], False)],
)
def test_an_event_of_which_no_picture_came_may_or_may_not_count(
    order: Order | None, images: list[ServedImage], good: bool
) -> None:
    """The vectors before it stand, or a replay has brought its own; nothing in between."""
    truth = expected(vectors=[
        Claim(NEW, AT, ExpectedImages([URL], frozenset({0})), confirmed=False),
        Claim(OLD, BEFORE, ExpectedImages([INLINE])),
    ])  # fmt: skip
    state = served(images=images, orders=Orders(NEW, NEW, order), searchable=bool(images))
    assert (found(truth, state) == []) is good
    assert must_be_searchable(truth)


def test_a_first_event_whose_pictures_all_failed_may_be_found_or_not() -> None:
    """It is neither lost nor resurrected."""
    failed = Claim(NEW, AT, ExpectedImages([URL], frozenset({0})), confirmed=False)
    truth = expected(vectors=[failed])
    assert (must_be_searchable(truth), may_be_searchable(truth)) == (False, True)
    assert found(truth, served(images=[URL])) == []
    assert found(truth, served(images=[], searchable=False,
                               orders=Orders(NEW, NEW, None))) == []  # fmt: skip


def test_of_equal_orders_either_may_be_served() -> None:
    """The claim that was met is told: its event has the images' bytes."""
    twin = Claim(NEW, BEFORE, ExpectedImages([INLINE]))
    truth = expected(vectors=[*expected().vectors, twin])
    assert found(truth, served(images=[STORED])) == []
    assert matching(truth.vectors, served(images=[STORED])) == twin
