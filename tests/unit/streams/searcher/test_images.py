"""Photos made more like a catalog's: lighting, ground, crops, and answers fused."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.support.hits import hit_of
from visualsearch.search.fuse import fuse_answers
from visualsearch.search.photos import (
    CROPS,
    crops,
    equalize_lighting,
    remove_background,
    subject_by_grabcut,
)
from visualsearch.types import Answer, BaseRecord, Plan


def still_life(size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Draw a red ball a little off the center of a textured green table."""
    rng = np.random.default_rng(3)
    table = rng.normal((60, 120, 70), 12, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(table)
    ImageDraw.Draw(image).ellipse((100, 60, 200, 160), fill=(200, 30, 40))
    return image


def test_grabcut_finds_the_subject() -> None:
    """Of the ball nearly all, of the table nearly nothing; twice the same."""
    photo = still_life()
    mask = subject_by_grabcut(photo)
    ball = np.zeros((240, 320), dtype=bool)
    rows, columns = np.ogrid[:240, :320]
    ball[(rows - 110) ** 2 + (columns - 150) ** 2 < 47**2] = True
    table = (rows - 110) ** 2 + (columns - 150) ** 2 > 56**2
    assert (mask[ball] > 127).mean() > 0.95
    assert (mask[table] > 127).mean() < 0.05
    np.testing.assert_array_equal(mask, subject_by_grabcut(photo))


def test_the_subject_is_laid_on_white_and_cropped_to() -> None:
    """Its surroundings go; the photo that was given stays."""
    photo = still_life()
    before = photo.tobytes()
    cut = remove_background(photo, subject_by_grabcut)
    assert photo.tobytes() == before
    assert 100 <= cut.width <= 125
    assert 100 <= cut.height <= 125
    assert cut.getpixel((1, 1)) == (255, 255, 255)
    red, green, _ = cut.getpixel((cut.width // 2, cut.height // 2))
    assert red > 150 > green


@pytest.mark.parametrize(
    "photo",
    [Image.new("RGB", (64, 64), "navy"), Image.new("RGB", (3, 200)), Image.new("RGB", (1, 1))],
)
def test_a_photo_without_a_subject_stays_whole(photo: Image.Image) -> None:
    """One color, or hardly a pixel: nothing is lost."""
    assert remove_background(photo, subject_by_grabcut).size == photo.size


def test_lighting_is_evened_out_and_hues_stay() -> None:
    """A photo that is dark on one side has more contrast there afterwards."""
    ramp = np.linspace(0.15, 1.0, 256)[None, :, None]
    checks = (np.indices((128, 256)).sum(axis=0) // 8 % 2)[..., None] * 40 + 80
    photo = (checks * ramp * np.array([1.2, 0.7, 0.7])).clip(0, 255).astype(np.uint8)
    even = np.asarray(equalize_lighting(Image.fromarray(photo)), dtype=float)
    dark = np.s_[:, :40]
    assert even[dark].std() > 1.5 * photo[dark].astype(float).std()
    assert (even[..., 0] > even[..., 1] + 5).mean() > 0.95  # as red as before


def test_crops_are_the_whole_and_its_centre() -> None:
    """Largest first, each around the center."""
    whole, *inner = crops(still_life())
    assert whole.size == (320, 240)
    assert [view.size for view in inner] == [(round(320 * c), round(240 * c)) for c in CROPS]
    assert all(min(view.size) >= 1 for view in crops(Image.new("RGB", (1, 1))))


def answer(matches: int, **scores: float) -> Answer:
    """Return an answer with these products."""
    hits = [
        hit_of(score, BaseRecord(name, (1, 0, 0), title=name), f"image of {score}")
        for name, score in scores.items()
    ]
    return Answer(tuple(hits), Plan("exact", 1.0, matches, 10))


def test_a_product_counts_by_its_best_score() -> None:
    """With the image that has it; equal ones by product id; the work adds up."""
    both = fuse_answers([answer(4, a=0.9, b=0.8, c=0.1), answer(4, c=0.85, b=0.8, d=0.8)], 3)
    assert [(hit.product_id, hit.score) for hit in both.hits] == [
        ("a", 0.9), ("c", 0.85), ("b", 0.8)]  # fmt: skip
    assert both.hits[1].image_id == "image of 0.85"
    assert (both.plan.matches, both.plan.visited) == (4, 20)


def test_fused_lists_of_top_k_hold_the_top_k_of_all() -> None:
    """As if every product had been scored by every view."""
    rng = np.random.default_rng(4)
    names = [f"p{n}" for n in range(60)]
    for _ in range(50):
        scores = rng.random((3, len(names)))
        lists = [dict(sorted(zip(names, row, strict=True), key=lambda x: -x[1])[:7])
                 for row in scores]  # fmt: skip
        found = fuse_answers([answer(60, **each) for each in lists], 7)
        best = dict(zip(names, scores.max(axis=0), strict=True))
        wanted = sorted(best, key=lambda name: -best[name])[:7]
        assert [hit.product_id for hit in found.hits] == wanted
