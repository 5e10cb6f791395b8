"""Alignment: what is common to photos goes from the query, and only from there."""

import numpy as np
import pytest

from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.search.align import SHARE, remove_photo_mean
from visualsearch.types import BaseRecord, ImageKind, ImageVector, VectorsRecord

DIM = 16
V = clustered(64, DIM, clusters=4, seed=5)


def test_what_photos_share_is_taken_away() -> None:
    """Unit rows again, their similarity to the mean gone but for a rest; the input untouched."""
    usual = np.asarray(V.mean(axis=0), dtype=np.float32)
    copy = V.copy()
    moved = remove_photo_mean(V, usual)
    assert moved.dtype == np.float32
    assert np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    assert float((moved @ usual).mean()) < float((V @ usual).mean())
    assert np.array_equal(V, copy)
    assert np.allclose(remove_photo_mean(V, usual * 0), V, atol=1e-6)
    assert np.isfinite(remove_photo_mean(usual[None] * SHARE, usual)).all()


def test_photos_that_differ_by_one_offset_meet_their_pictures_again() -> None:
    """The case that it is for: each photo is its image moved the same way."""
    pictures = np.unique(V, axis=0)
    offset = 3 * pictures[0]
    photos = pictures + offset
    photos = (photos / np.linalg.norm(photos, axis=1, keepdims=True)).astype(np.float32)
    found = (remove_photo_mean(photos, photos.mean(axis=0)) @ pictures.T).argmax(axis=1)
    before = (photos @ pictures.T).argmax(axis=1)
    truth = np.arange(len(pictures))
    assert (found == truth).mean() > (before == truth).mean()


@pytest.mark.parametrize(("kind", "numbers"), [("lifestyle", range(8, 12)), ("catalog", range(8))])
def test_the_engine_knows_the_mean_of_a_kind(kind: ImageKind, numbers: range) -> None:
    """Of searchable images only, and how many there are."""
    engine = Engine("m", DIM)
    for n in range(16):  # the last four have no base: they cannot be found
        image = ImageVector("0", V[n], kind="catalog" if n < 8 else "lifestyle")
        engine.apply([VectorsRecord(f"p{n}", (1, 0, 0), model="m", images=(image,))])
        if n < 12:
            engine.apply([BaseRecord(f"p{n}", (1, 0, 0))])
    mean, count = engine.kind_mean(kind)
    assert count == len(numbers)
    assert np.allclose(mean, V[list(numbers)].mean(axis=0), atol=1e-3)
    assert Engine("m", DIM).kind_mean(kind)[1] == 0
