"""The detectors of mode look: windows, naming, merging, checkpoints and files that will not do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.detectors import random_checkpoint
from tests.support.fakes import DIM, unit
from tests.support.hits import hit_of
from visualsearch.errors import EncoderError, QueryError
from visualsearch.search.look.boxes import Box, crop, overlaps, windows
from visualsearch.search.look.category_matching import (
    category_words,
    match_categories,
    narrow_to_filter,
)
from visualsearch.search.look.checkpoint import CheckpointDetector
from visualsearch.search.look.prompts import MOST_WINDOWS, PromptDetector, prompts_of
from visualsearch.search.look.regions import (
    BOOST,
    SAME_PLACE,
    SAME_THING,
    Photo,
    Proposal,
    boost_shared_products,
    merge_regions,
    suppress_overlaps,
)
from visualsearch.search.look.taxonomy import DEFAULT, read_look_categories
from visualsearch.types import BaseRecord, FloatArray, Hit

TALL = Image.new("RGB", (200, 300), (90, 90, 90))
TAXONOMY = read_look_categories()
DETECTOR = PromptDetector(TAXONOMY, np.stack([unit(p) for p in prompts_of(TAXONOMY)]))
OUTFIT = Photo(TALL, unit("dress"))
shares = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Draw a box, however thin."""
    left, right = sorted(draw(st.lists(shares, min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(shares, min_size=2, max_size=2, unique=True)))
    return left, top, right, bottom


@given(boxes(), st.integers(1, 60), st.integers(1, 60))
def test_a_crop_is_never_empty(box: Box, width: int, height: int) -> None:
    """Whatever the box and however small the image."""
    part = crop(Image.new("RGB", (width, height)), box)
    assert 1 <= part.width <= width
    assert 1 <= part.height <= height


@given(boxes(), boxes())
def test_overlaps_are_shares(one: Box, other: Box) -> None:
    """Between 0 and 1, the same both ways, 1 with itself unless it is a line."""
    shared = overlaps(np.array([one, other]), np.array([one, other]))
    assert ((shared >= 0) & (shared <= 1 + 1e-9)).all()
    assert np.allclose(shared, shared.T)
    if (one[2] - one[0]) * (one[3] - one[1]) > 1e-9:
        assert shared[0, 0] == pytest.approx(1)


@given(st.floats(0.2, 5), st.lists(st.tuples(st.floats(0.1, 1), st.floats(0.2, 3)), min_size=1,
                                   max_size=4))  # fmt: skip
def test_windows_lie_within_the_picture(aspect: float, shapes: list[tuple[float, float]]) -> None:
    """Of every shape at least one, whatever the image's own."""
    found = windows(aspect, shapes)
    assert len(found) >= len(shapes)
    assert (found >= -1e-9).all()
    assert (found <= 1 + 1e-9).all()
    assert (found[:, 2:] > found[:, :2]).all()


def test_the_scene_decides_what_is_looked_for() -> None:
    """An outfit's windows are where garments are; a room's are everywhere."""
    assert DETECTOR.scene(OUTFIT).name == "outfit"
    room = Photo(TALL.rotate(90, expand=True), unit("sofa"))
    assert DETECTOR.scene(room).name == "room"
    for photo in (OUTFIT, room):
        proposals = DETECTOR.propose(photo)
        assert 10 < len(proposals) <= MOST_WINDOWS
        found = np.array([each.box for each in proposals])
        assert overlaps(found, found)[~np.eye(len(found), dtype=bool)].max() < 0.56


def planted(proposals: list[Proposal], **words: int) -> FloatArray:
    """Return vectors of windows, each somewhat like its word, all others like the background."""
    rows = np.stack([unit("wall") + 0.1 * unit(f"noise {n}") for n in range(len(proposals))])
    for word, number in words.items():
        rows[number] = unit(word) + 0.1 * unit("noise")
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_what_a_window_shows_is_chosen_and_named() -> None:
    """The planted window comes first; what is only background is no region."""
    proposals = DETECTOR.propose(OUTFIT)
    boxes = np.array([each.box for each in proposals])
    place = next(c.place for c in TAXONOMY.scenes[0].categories if c.name == "pants")
    assert place is not None
    likely = int(place.likelihood(boxes, OUTFIT.aspect).argmax())
    regions = DETECTOR.choose(OUTFIT, proposals, planted(proposals, jeans=likely), 8)
    assert (regions[0].category, regions[0].box) == ("pants", proposals[likely].box)
    assert regions[0].score > 0.9
    assert {region.box for region in regions} == {proposals[likely].box}
    assert DETECTOR.choose(OUTFIT, proposals, planted(proposals), 8) == []
    assert DETECTOR.choose(OUTFIT, [], planted(proposals)[:0], 8) == []


def test_given_boxes_keep_their_names_or_get_one() -> None:
    """The app knows better; it need not know."""
    given_boxes = [Proposal((0.3, 0.5, 0.7, 0.9)), Proposal((0, 0, 1, 1), "Women/Capes")]
    vectors = np.stack([unit("jeans"), unit("jeans")])
    named = DETECTOR.name(OUTFIT, given_boxes, vectors)
    assert [region.category for region in named] == ["pants", "Women/Capes"]
    assert [region.box for region in named] == [each.box for each in given_boxes]


@given(st.lists(st.tuples(boxes(), st.sampled_from("abc")), max_size=12), st.integers(1, 6),
       st.integers(1, 3))  # fmt: skip
def test_merging_leaves_one_region_of_each_thing(
    some: list[tuple[Box, str]], most: int, per: int
) -> None:
    """At most so many, the first kept, no two of them the same thing."""
    every = np.array([box for box, _ in some]).reshape(-1, 4)
    kept = suppress_overlaps(((n, name) for n, (_, name) in enumerate(some)), every, most, per)
    assert len(kept) <= most
    assert all(sum(name == other for _, other in kept) <= per for _, name in kept)
    assert not some or kept[0][0] == 0
    shared = overlaps(every, every)
    for n, (one, name) in enumerate(kept):
        for other, its in kept[:n]:
            assert shared[one, other] <= (SAME_THING if name == its else SAME_PLACE)


def hit(name: str, score: float) -> Hit:
    """Return a hit."""
    return hit_of(score, BaseRecord(name, (1, 0, 0), title=name))


def test_products_found_in_several_regions_stand_further_up() -> None:
    """By one step of the boost, in each list and over all; the scores stay."""
    first = [hit("a", 0.5), hit("b", 0.5 - BOOST / 2)]
    second = [hit("c", 0.6), hit("b", 0.4)]
    one, two = boost_shared_products([first, second])
    assert [each.product_id for each in one] == ["b", "a"]
    assert [each.product_id for each in two] == ["c", "b"]
    assert [(each.product_id, each.score) for each in merge_regions([first, second], 2)] == [
        ("c", 0.6), ("b", 0.5 - BOOST / 2)]  # fmt: skip


def test_the_catalogue_has_its_own_words() -> None:
    """Each category goes to the closest prompt if it is close, read by the end of its path."""
    words = {"coat": unit("Jackets")[None], "bag": unit("Bags")[None]}
    names = ("Women/Jackets", "Men/Jackets", "Bags", "Lamps")
    found = match_categories(words, {name: unit(category_words(name)) for name in names})
    assert found == {"coat": ("Men/Jackets", "Women/Jackets"), "bag": ("Bags",)}
    assert match_categories({}, {"a": unit("a")}) == {}
    assert [category_words(name) for name in ("a/b_c", "a/", "")] == ["b c", "a/", ""]


@pytest.mark.parametrize(
    ("shelf", "wanted", "searched"),
    [
        ((), (), ()),
        (("A/x", "B/x"), (), ("A/x", "B/x")),
        ((), ("A",), ("A",)),
        (("A/x", "B/x"), ("A",), ("A/x",)),
        (("A",), ("A/x",), ("A/x",)),
        (("A/x",), ("B",), None),
    ],
)
def test_a_region_is_searched_where_both_agree(
    shelf: tuple[str, ...], wanted: tuple[str, ...], searched: tuple[str, ...] | None
) -> None:
    """The region's shelf and the request's filter; nothing in common is no search."""
    assert narrow_to_filter(shelf, wanted) == searched


def test_a_taxonomy_of_ones_own(tmp_path: Path) -> None:
    """The default can be read; a file with a fault is named, with the fault."""
    assert [scene.name for scene in TAXONOMY.scenes] == ["outfit", "room"]
    good = json.loads(DEFAULT.read_text())
    path = tmp_path / "mine.json"
    room: dict[str, Any] = good["scenes"]["room"]
    for bad in (
        "no json", "[]", "{}", json.dumps(good | {"scenes": {}}),
        json.dumps({"scenes": good["scenes"]}),
        json.dumps(good | {"scenes": {"room": room | {"windows": [[2, 1]]}}}),
        json.dumps(good | {"scenes": {"room": room | {"categories": {"lamp": {"prompts": []}}}}}),
    ):  # fmt: skip
        path.write_text(bad)
        with pytest.raises(QueryError) as caught:
            read_look_categories(path)
        assert caught.value.code == "look_categories_invalid"
        assert str(path) in str(caught.value)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a small detector of random weights, and its label map."""
    return random_checkpoint(tmp_path_factory.mktemp("detector"))


def test_a_checkpoint_finds_regions(
    checkpoint: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its boxes as shares of the image, its labels by the map, merged like any others."""
    monkeypatch.setattr("visualsearch.search.look.checkpoint.CONFIDENT", 0.0)
    detector = CheckpointDetector.load(*checkpoint)
    assert detector.categories == {"dress": ("dress",), "bag": ("bag",)}
    noise = np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)
    photo = Photo(Image.fromarray(noise), unit("whole"))
    proposals = detector.propose(photo)
    assert proposals, "a random detector is confident of something"
    assert {each.category for each in proposals} <= {"dress", "bag"}
    for each in proposals:
        assert 0 <= each.box[0] < each.box[2] <= 1
        assert 0 <= each.box[1] < each.box[3] <= 1
    vectors = np.zeros((len(proposals), DIM), dtype=np.float32)
    regions = detector.choose(photo, proposals, vectors, 3)
    assert 1 <= len(regions) <= 3
    scores = [region.score for region in regions]
    assert scores == sorted(scores, reverse=True)
    assert detector.choose(photo, [], vectors[:0], 3) == []


def test_a_checkpoint_that_is_none_is_refused(
    checkpoint: tuple[Path, Path], tmp_path: Path
) -> None:
    """Another architecture, labels that are none, a file that is none: each is named."""
    model, labels = checkpoint
    other = tmp_path / "labels.json"
    faults: list[tuple[Path, Path, Path]] = []
    for n, body in enumerate(
        ("{}", "[", '{"labels": {"one": "a"}}', '{"labels": {}}',
         '{"architecture": "no_such", "labels": {"1": "a"}}')
    ):  # fmt: skip
        path = tmp_path / f"{n}.json"
        path.write_text(body)
        faults.append((model, path, path))
    other.write_text('{"architecture": "retinanet_resnet50_fpn", "labels": {"1": "a"}}')
    noise = tmp_path / "noise.pth"
    noise.write_bytes(b"noise")
    faults += [
        (model, other, model),
        (noise, labels, noise),
        (tmp_path / "no", labels, tmp_path / "no"),
    ]
    for weights, label_map, culprit in faults:
        with pytest.raises(EncoderError) as caught:
            CheckpointDetector.load(weights, label_map)
        assert caught.value.code == "detector_invalid"
        assert str(culprit) in str(caught.value)
