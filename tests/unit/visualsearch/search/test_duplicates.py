"""Near-duplicates: which products are variants of one, and which only look or sound alike."""

import numpy as np
import pytest

from tests.support.hits import hit_of
from visualsearch.engine import Engine
from visualsearch.search.duplicates import SAME_PICTURE, SAME_STYLE, group_duplicates, style_of
from visualsearch.types import BaseRecord, FloatArray, Hit, ImageVector, Query, VectorsRecord

DIM = 16
V = np.eye(4, DIM, dtype=np.float32)


def hit(title: str, brand: str | None = "Acme", **attributes: str) -> Hit:
    """Return a hit; its score does not count here."""
    return hit_of(
        0.5, BaseRecord(title, (1, 0, 0), title=title, brand=brand, attributes=attributes)
    )


def at(cosine: float) -> FloatArray:
    """Return two unit vectors with this cosine."""
    across = V[1] - (V[1] @ V[0]) * V[0]
    other = cosine * V[0] + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)
    return np.stack([V[0], other]).astype(np.float32)


NEAR, ALIKE, FAR = SAME_PICTURE + 0.01, (SAME_STYLE + SAME_PICTURE) / 2, SAME_STYLE - 0.1


@pytest.mark.parametrize(
    ("one", "other", "cosine", "together"),
    [
        (hit("Chaz Hoodie, Black"), hit("Chaz Hoodie, Navy Blue"), ALIKE, True),
        (hit("Chaz Hoodie (L)", size="L"), hit("chaz hoodie M", size="M"), ALIKE, True),
        (hit("Chaz Hoodie, Sky", color="Sky"), hit("Chaz Hoodie, Mud", Colour="Mud"), ALIKE, True),
        (hit("Chaz Hoodie"), hit("Chaz Hoodie", brand="Zenith"), ALIKE, False),
        (hit("Chaz Hoodie"), hit("Bruno Hoodie"), ALIKE, False),
        (hit("Red dress", None), hit("Blue dress", None), FAR, False),
        (hit("Red"), hit("Blue"), ALIKE, False),
        (hit(""), hit(""), ALIKE, False),
        (hit("Chaz Hoodie"), hit("Uploaded again", brand=None), NEAR, True),
        (hit("A", item_group_id="7"), hit("B", item_group_id="7"), FAR, True),
        (hit("A", item_group_id="7"), hit("A", item_group_id="8"), ALIKE, False),
        (hit("A", item_group_id="7"), hit("A"), ALIKE, True),
        (hit("A", item_group_id="7"), hit("B", "Zenith", item_group_id="7"), FAR, False),
    ],
)
def test_what_is_a_variant(one: Hit, other: Hit, cosine: float, together: bool) -> None:
    """By image, by the catalog's own group, or by brand and name of images alike enough."""
    groups = group_duplicates([one, other], at(cosine), 2)
    assert groups == ([[0, 1]] if together else [[0], [1]])


def test_groups_stay_when_more_is_looked_at() -> None:
    """A longer list gives the same heads; groups beyond those wanted are not opened."""
    rows = np.repeat(V, 3, axis=0)
    hits = [hit(f"Thing {n // 3}") for n in range(12)]
    assert group_duplicates(hits, rows, 10) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert group_duplicates(hits[:7], rows[:7], 10) == [[0, 1, 2], [3, 4, 5], [6]]
    assert group_duplicates(hits, rows, 2) == [[0, 1, 2], [3, 4, 5]]
    assert group_duplicates([], rows[:0], 2) == []


def test_a_style_is_what_does_not_vary() -> None:
    """Colors and sizes are told by the title, or by the attributes that name them."""
    style = style_of(hit("Émile Tee - Light-Grey / XL", size="XL"))
    assert (style.name, style.group) == (("émile", "tee"), None)
    assert style_of(hit("Dress", style_group="d1", item_group_id="")).group == "d1"


def test_color_words_of_both_spellings_are_no_part_of_a_name() -> None:
    """Catalogs write either."""
    assert style_of(hit("Multicolour Dress")) == style_of(hit("Multicolor Dress"))


def test_an_answer_goes_on_looking_until_it_is_full() -> None:
    """Hundreds of near-duplicates before the others: all groups asked for are found."""
    engine = Engine("m", DIM)
    for n in range(500):
        row = V[0] if n < 497 else V[0] * 0.5 + V[n - 496] * np.float32(0.75**0.5)
        title = f"Thing {0 if n < 497 else n}"
        engine.apply([
            BaseRecord(f"p{n:03d}", (1, 0, 0), title=title),
            VectorsRecord(f"p{n:03d}", (1, 0, 0), model="m", images=(ImageVector("0", row),)),
        ])  # fmt: skip
    for diversity in (0.0, 0.5):
        answer = engine.search(Query(V[0], top_k=3, collapse=True, diversity=diversity))
        assert len(answer.hits) == 3
        assert answer.hits[0].product_id == "p000"
        assert {hit.product_id for hit in answer.hits[1:]} <= {"p497", "p498", "p499"}
    assert len(engine.search(Query(V[0], top_k=9, collapse=True)).hits) == 4
    assert len(answer.hits[0].variants) >= 400
