"""The fold: what stands, what may stand, and what cannot be read."""

import json
from typing import Any

import pytest

from streams.tools.fsck.failures import PREFIX, Failure, failures
from streams.tools.fsck.history import (
    Claim,
    ExpectedImages,
    History,
    Mode,
    add_claim,
    decode,
    newest,
    order_of,
)
from streams.tools.fsck.values import (
    Message,
    OfferFields,
    ProductFields,
    format_position,
    parse_message_position,
)

BASE = {"title": "T", "images": []}


def message(
    offset: int, kind: str = "product-created", product: Any = None, **more: Any
) -> Message:
    """Return an event of product p at an offset, one millisecond after the one before."""
    body = {"event_id": "e", "event_type": kind, "occurred_at": "2026-05-01T12:00:00Z",
            "product": {"product_id": "p"} | (BASE if product is None else product)}  # fmt: skip
    headers = more.pop("headers", ())
    value = json.dumps(body | more).encode()
    return Message("t", 0, offset, 1000 + offset, b"p", value, headers)


def letter(offset: int, stage: str, text: str = "", code: str = "c") -> Message:
    """Return the dead letter of the event at an offset."""
    facts = {"topic": "t", "partition": "0", "offset": str(offset), "stage": stage,
             "code": code, "message": text}  # fmt: skip
    headers = tuple((PREFIX + name, value.encode()) for name, value in facts.items())
    return Message("dead", 0, offset, 0, b"p", b"", headers)


def fold(*messages: Message, mode: Mode = "timestamp", letters: Any = ()) -> History:
    """Fold messages."""
    history = History(mode, failures(letters))
    for each in messages:
        history.add(each)
    return history


def pictures(*urls: str) -> dict[str, Any]:
    """Return a product with these images."""
    return BASE | {"images": [{"url": url} for url in urls]}


def test_each_kind_has_its_own_newest_event() -> None:
    """An offer leaves the base alone, a created event without a price leaves the offer."""
    offer = {"price": 2.0}
    history = fold(message(2), message(1, "product-offer-updated", offer), message(0))
    (truth,) = history.products.values()
    assert [claim.order[1] for claim in truth.base] == [2]
    assert [claim.state for claim in truth.offer] == [OfferFields(price=2.0)]


def test_a_delete_leaves_markers_of_every_kind() -> None:
    """They must be there, or an older record would bring the product back."""
    (truth,) = fold(message(0), message(1, "product-deleted", {})).products.values()
    assert [c.state for c in truth.base] == [ProductFields(deleted=True)]
    assert [c.state for c in truth.offer] == [OfferFields(deleted=True)]
    assert [c.state for c in truth.vectors] == [ExpectedImages()]


def test_explicit_order_is_that_of_versions_and_needs_one() -> None:
    """The later event with the lower version does not count; the one without is unread."""
    history = fold(message(0, version=5, product=BASE | {"title": "new"}), message(1, version=4),
                   message(2), mode="explicit")  # fmt: skip
    (truth,) = history.products.values()
    assert [(c.order, c.state.title) for c in truth.base] == [((5, 0, 0), "new")]  # type: ignore[union-attr]
    assert history.unread == [(("t", 0, 2), "version_missing")]


def test_equal_orders_stand_side_by_side() -> None:
    """Of two partitions' events at one offset and time either may have come last."""
    claims = [Claim((1, 0, 0), ("a", 0, 0), OfferFields(price=1.0))]
    add_claim(claims, Claim((1, 0, 0), ("b", 0, 0), OfferFields(price=2.0)))
    add_claim(claims, Claim((0, 9, 9), ("c", 0, 0), OfferFields(price=3.0)))
    assert [claim.source for claim in claims] == [("a", 0, 0), ("b", 0, 0)]


def test_a_replay_has_its_originals_place() -> None:
    """The header says where it stood; one that cannot be read makes the event unreadable."""
    name = "__visualsearch.order"
    history = fold(
        message(0, product=BASE | {"title": "newer"}),
        message(9, headers=((name, b"500,7"),)),
        message(10, headers=((name, b"soon"),)),
    )
    (truth,) = history.products.values()
    assert [c.order for c in truth.base] == [(1000, 0, 0)]
    assert history.unread == [(("t", 0, 10), "order_header_invalid")]


def test_a_failed_picture_may_be_missing_and_no_other() -> None:
    """The dead letter tells its number."""
    history = fold(message(0, product=pictures("a", "b")),
                   letters=[letter(0, "fetch", "product.images[1]: gone")])  # fmt: skip
    (truth,) = history.products.values()
    (claim,) = truth.vectors
    assert isinstance(claim.state, ExpectedImages)
    assert (claim.state.doubtful, claim.confirmed) == ({1}, True)


def test_an_image_whose_bytes_are_not_stored_is_searchable_nevertheless() -> None:
    """Its dead letter excuses no missing vector and no older one."""
    history = fold(message(0, product=pictures("z")), message(1, product=pictures("a", "b")),
                   letters=[letter(1, "store", "product.images[1]: full")])  # fmt: skip
    (truth,) = history.products.values()
    (claim,) = truth.vectors
    assert isinstance(claim.state, ExpectedImages)
    assert (claim.order[1], claim.state.doubtful, claim.confirmed) == (1, frozenset(), True)


@pytest.mark.parametrize(
    "letters",
    [
        [letter(1, "fetch", "product.images[0]: gone"), letter(1, "image", "product.images[1]: x")],
        [letter(1, "embed", "no number")],
        [letter(1, "lane")],
        [letter(1, "log", code="record_too_large")],
    ],
)
def test_the_event_before_may_stand_when_no_picture_could_be_had(letters: list[Message]) -> None:
    """All failed, or the whole record did: older vectors may remain, or a replay may have come."""
    history = fold(message(0, product=pictures("z")), message(1, product=pictures("a", "b")),
                   letters=letters)  # fmt: skip
    (truth,) = history.products.values()
    assert [(claim.order[1], claim.confirmed) for claim in truth.vectors] == [(0, True), (1, False)]
    deciding = newest(truth.vectors)
    assert deciding is not None
    assert deciding.order[1] == 0


def test_a_dead_letter_without_a_place_is_no_excuse_for_anything() -> None:
    """Another system's letters, say."""
    assert failures([Message("dead", 0, 0, 0, b"p", b"")]) == {}
    assert failures([letter(3, "decode", code="not_json")]) == {("t", 0, 3): Failure({"not_json"})}


def test_a_null_value_is_a_delete_at_its_own_time() -> None:
    """In timestamp mode; it has no version."""
    null = Message("t", 1, 4, 2000, b"p", None)
    assert order_of(decode(null), null,
                    "timestamp") == (2000, 4, 3)  # fmt: skip
    assert fold(null, mode="explicit").unread == [(("t", 1, 4), "version_missing")]


def test_a_place_survives_its_writing() -> None:
    """topic[partition]@offset, also for topics with odd names; anything else is none."""
    for source in (("t", 0, 0), ("a.b-c_d", 12, 3456789)):
        assert parse_message_position(format_position(source)) == source
    assert format_position(None) is None
    assert [
        parse_message_position(text) for text in (None, "", "t[0]", "t@1", "[0]@1", "t[x]@1")
    ] == [None] * 6
