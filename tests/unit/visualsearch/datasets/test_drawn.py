"""The drawn catalog: deterministic, complete, and what it says it shows."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from visualsearch.datasets.drawn import draw_catalog, draw_photo, word_queries
from visualsearch.datasets.drawn.catalog import draw_thing
from visualsearch.datasets.drawn.kinds import KINDS
from visualsearch.datasets.drawn.palette import COLORS
from visualsearch.datasets.drawn.patterns import PATTERNS, fabric


def test_a_seed_gives_the_same_catalogue() -> None:
    """Titles, prices and the very bytes of the images follow from the seed."""
    one, again, other = (list(draw_catalog(6, seed)) for seed in (3, 3, 4))
    assert one == again
    assert [p.images for p in one] != [p.images for p in other]


def test_a_longer_catalogue_starts_like_a_shorter_one() -> None:
    """A product does not depend on how many others are drawn."""
    assert list(draw_catalog(5)) == list(draw_catalog(3)) + list(draw_catalog(5))[3:]


def test_every_kind_is_drawn_with_its_facts() -> None:
    """The first products show each kind once, filed, priced and pictured twice."""
    products = list(draw_catalog(len(KINDS)))
    assert {product.kind for product in products} == set(KINDS)
    assert len({product.product_id for product in products}) == len(products)
    for product in products:
        assert product.color.title() in product.title
        assert product.color in product.attributes["color"]
        assert product.pattern in PATTERNS
        low, high = KINDS[product.kind].price
        assert low - 1 <= product.price <= high
        assert [image.kind for image in product.images] == ["catalog", "lifestyle"]
        for image in product.images:
            assert Image.open(io.BytesIO(image.data)).size == (320, 320)


def test_word_queries_have_ten_right_answers() -> None:
    """Each listed query has at least ten right products among the default 640."""
    queries = word_queries()
    assert len(queries) >= 30
    assert len({kind for _, kind, _ in queries}) == len(KINDS)
    assert all(text == f"{color} {kind}" for text, kind, color in queries)


def test_a_catalogue_holds_what_word_queries_promise() -> None:
    """Counting a drawn catalog gives the queries that were listed for it."""
    held = Counter((product.kind, product.color) for product in draw_catalog(200, seed=5))
    promised = {(kind, color) for _, kind, color in word_queries(200, seed=5)}
    assert {pair for pair, count in held.items() if count >= 10} == promised


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_thing_fills_its_sheet_in_its_color(kind: str) -> None:
    """A good part of the sheet is covered, none of it cut off, most of it in the asked color."""
    import random

    thing = np.asarray(draw_thing(kind, "purple", "plain", random.Random(kind)))
    covered = thing[..., 3] > 128
    assert 0.08 < covered.mean() < 0.75
    edges = np.concatenate([covered[0], covered[-1], covered[:, 0], covered[:, -1]])
    assert not edges.any()
    hues = np.asarray(Image.fromarray(thing[..., :3]).convert("HSV"))[..., 0][covered]
    purple = np.asarray(Image.new("RGB", (1, 1), COLORS["purple"]).convert("HSV"))[0, 0, 0]
    assert (np.abs(hues.astype(int) - int(purple)) < 14).mean() > 0.4


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_leave_the_base_color_in_the_majority(pattern: str) -> None:
    """A pattern is seen, and its ground still decides what color the thing is."""
    import random

    base, other = (200, 30, 40), (246, 246, 244)
    cloth = np.asarray(fabric(base, other, pattern, random.Random(2), 400)).reshape(-1, 3)
    mean = cloth.mean(axis=0)
    to_base, to_other = (float(np.linalg.norm(mean - tone)) for tone in (base, other))
    assert to_base == 0 if pattern == "plain" else 5 < to_base < 0.7 * to_other


def test_a_phone_photo_is_stored_on_its_side() -> None:
    """The file is a landscape JPEG whose EXIF says that it was taken upright."""
    data = draw_photo("mug", "teal", "striped", seed=1)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", (1600, 1200))
    assert image.getexif()[0x0112] == 6
    assert ImageOps.exif_transpose(image).size == (1200, 1600)
    assert data == draw_photo("mug", "teal", "striped", seed=1)
