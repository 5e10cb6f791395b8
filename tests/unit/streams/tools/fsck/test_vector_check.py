"""Vectors beside fresh embeddings: right, wrong, and not to be judged."""

import base64
import hashlib
from pathlib import Path

import numpy as np
import pytest

from streams.tools.fsck.vector_check import (
    LEAST_COSINE,
    ImageComparison,
    ImageToCheck,
    ImageUnreadableError,
    Limits,
    compare,
    cosine,
    read_image,
    url_content_changed,
)
from tests.support.fakes import FakeEncoder, jpeg, unit
from visualsearch.contracts.events import ImageSource

RED, BLUE = jpeg((255, 0, 0)), jpeg((0, 0, 255))
LIMITS = Limits(100_000, 0.5)


def inline(data: bytes) -> ImageSource:
    """Return an image as an event carries it."""
    return ImageSource(data=base64.b64encode(data).decode())


def vector(data: bytes) -> str:
    """Return the vector of an image as it is served."""
    row = FakeEncoder().encode_images([data])[0]
    return base64.b64encode(row.astype("<f2").tobytes()).decode()


def stored(served: str, *sources: ImageSource) -> ImageToCheck:
    """Return an image to compare."""
    return ImageToCheck("p", "0", sources, served, "t[0]@1")


def test_right_and_wrong_vectors_and_pictures_that_are_none() -> None:
    """One bad image in a step spoils no other; float16 is near enough."""
    done = list(
        compare(
            [
                stored(vector(RED), inline(RED)),
                stored(vector(BLUE), inline(RED)),
                stored(vector(RED), inline(b"text")),
                stored(vector(RED)),
                stored(vector(RED), inline(BLUE), inline(RED)),  # an id that the event has twice
            ],
            FakeEncoder(),
            LIMITS,
        )
    )
    assert [c.cosine is not None and c.cosine >= LEAST_COSINE for c in done] == [
        True, False, False, False, True]  # fmt: skip
    assert "cannot be embedded" in done[2].problem
    assert "no source" in done[3].problem


@pytest.mark.parametrize("served", ["", "AAAA", "?", base64.b64encode(bytes(32)).decode()])
def test_a_vector_that_is_none_is_as_wrong_as_can_be(served: str) -> None:
    """Empty, of another length, no base64, or zero."""
    assert cosine(unit("a"), served) == -1.0


def test_a_slightly_turned_vector_is_wrong() -> None:
    """0.9999 is a hundredth of a radian: far above float16's rounding."""
    fresh = unit("a").astype(np.float64)
    turned = fresh + 0.02 * unit("b")
    near = base64.b64encode(fresh.astype("<f2").tobytes()).decode()
    off = base64.b64encode(turned.astype("<f2").tobytes()).decode()
    assert cosine(fresh.astype(np.float32), near) > 0.999999
    assert cosine(fresh.astype(np.float32), off) < LEAST_COSINE


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/a.jpg", "ftp://h/a", "blob:00", "file:///etc/hostname", "http://[", "x"],
)
def test_a_picture_out_of_reach_is_not_called_wrong(url: str) -> None:
    """Nor does the check read files that no setting allows."""
    with pytest.raises(ImageUnreadableError):
        read_image(ImageSource(url=url), LIMITS)


def test_files_within_the_allowed_folders_are_read(tmp_path: Path) -> None:
    """As the worker does it, up to the same size."""
    (tmp_path / "a.jpg").write_bytes(RED)
    url = ImageSource(url=(tmp_path / "a.jpg").as_uri())
    assert read_image(url, Limits(100_000, 1.0, (tmp_path,))) == RED
    with pytest.raises(ImageUnreadableError, match="over 10 bytes"):
        read_image(url, Limits(10, 1.0, (tmp_path,)))
    assert read_image(ImageSource(data="data:image/jpeg;base64," +
                                    base64.b64encode(RED).decode()), LIMITS) == RED  # fmt: skip


def test_bytes_that_changed_at_their_url_excuse_a_wrong_vector_and_inline_ones_never() -> None:
    """The log says which bytes were indexed; without its word there is no excuse."""
    digest = hashlib.sha256(RED).hexdigest()
    moved = ImageComparison(stored("", ImageSource(url="http://h/0")), 0.1, "", frozenset({digest}))
    fixed = ImageComparison(stored("", inline(RED)), 0.1, "", frozenset({digest}))
    other, same = {("p", "0"): {"00"}}, {("p", "0"): {digest}}
    assert url_content_changed(moved, other)
    assert not url_content_changed(moved, same)
    assert not url_content_changed(moved, {})
    assert not url_content_changed(fixed, other)
