"""What the lite encoder's training rests on: truth of captions, other looks, the split."""

import random

import numpy as np
import pytest
from PIL import Image

from visualsearch.encoders.lite.features import Features
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.encoders.lite.training import choice as lite_choice
from visualsearch.encoders.lite.training import corpus as lite_corpus
from visualsearch.encoders.lite.training import fit as lite_fit
from visualsearch.encoders.lite.training import views as lite_views
from visualsearch.encoders.lite.training.captions import Caption, caption
from visualsearch.encoders.lite.training.fit import Material
from visualsearch.encoders.lite.training.material import Learned
from visualsearch.encoders.lite.training.photos import Labels
from visualsearch.encoders.lite.training.truth import FALSE, TRUE, UNKNOWN, coded, verdicts

DRAWN = Labels("boot", "navy", "plain", product="d")
SOLD = Labels("hoodie", "blue", title="Teton Hoodie", product="s")
PHOTO = Labels("t-shirt")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Caption("navy boot", "boot", "navy"), [TRUE, FALSE, FALSE]),
        (Caption("shoe", "shoe"), [TRUE, FALSE, FALSE]),  # every boot is a shoe
        (Caption("navy", None, "navy"), [TRUE, UNKNOWN, UNKNOWN]),  # a shop's blue may be navy
        (Caption("red hoodie", "hoodie", "red"), [FALSE, FALSE, FALSE]),
        (Caption("jacket", "jacket"), [FALSE, UNKNOWN, FALSE]),  # a hoodie may pass for one
        (Caption("striped", None, None, "striped"), [FALSE, UNKNOWN, UNKNOWN]),
        (Caption("Teton Hoodie", "hoodie", "blue", product="s"), [FALSE, TRUE, FALSE]),
        (Caption("thing"), [TRUE, TRUE, TRUE]),
    ],
)
def test_a_caption_is_true_false_or_unknown(said: Caption, expected: list[int]) -> None:
    """False beats unknown beats true, claim by claim."""
    shown = coded([DRAWN, SOLD, PHOTO])
    assert verdicts(coded([said]), shown)[0].tolist() == expected


def test_what_is_said_of_a_picture_holds_for_it() -> None:
    """No caption of an image is false or unknown for the image itself."""
    rng, rows = random.Random(1), [DRAWN, SOLD, PHOTO]
    for row in rows:
        said = [caption(row, rng) for _ in range(200)]
        assert (verdicts(coded(said), coded([row])) == TRUE).all()


def test_another_look_is_the_same_for_one_seed_and_shows_most_of_the_picture() -> None:
    """Reproducible, RGB, and never less than a third of the area."""
    image = Image.effect_noise((300, 400), 60).convert("RGB")
    sizes = set()
    for seed in range(30):
        one, again = (lite_views.varied(image, random.Random(seed)) for _ in range(2))
        assert one.mode == "RGB"
        assert one.tobytes() == again.tobytes()
        assert one.width * one.height >= 300 * 400 / 3
        sizes.add(one.size)
    assert len(sizes) > 20
    assert lite_views.centre(image, 0.5).size == (150, 200)


def test_a_rehearsal_holds_back_whole_styles_of_training_photos() -> None:
    """No style is on both sides, drawings are all learned from, and nothing is lost."""
    rows = [Labels("hoodie", "blue", product=f"{n}-{c}", style=str(n))
            for n in range(40) for c in range(3)]  # fmt: skip
    looks = [_noise(len(rows), seed) for seed in (0, 1)]
    corpora = {"luma": Learned(rows, looks), "drawn": Learned(rows, looks[:1])}
    learned, asked = lite_choice.rehearsal(corpora)
    assert asked is not None
    back = {row.style for row in asked[0] if row.held_out}
    kept = {row.style for row in learned["luma"].labels}
    assert back
    assert back & kept == set()
    assert back | kept == {row.style for row in rows}
    assert learned["drawn"].labels == rows
    assert all(len(look.last) == len(learned["luma"].labels) for look in learned["luma"].looks)


def test_the_heads_learn_what_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """On separable images of two kinds, words find their kind after a few steps."""
    monkeypatch.setattr(lite_fit, "HIDDEN", 32)
    monkeypatch.setattr(lite_fit, "BATCH", 48)
    rng = np.random.default_rng(0)
    words = ("boot", "boots", "ankle", "hat", "cap", "sun", "thing")
    rows = rng.normal(size=(len(words), 16))
    vocabulary = Vocabulary(
        words,
        np.rint(rows * 30).clip(-127, 127).astype(np.int8),
        np.full(len(words), 1 / 30, np.float16),
    )
    labels = [Labels("boot" if n % 2 else "hat", product=str(n)) for n in range(64)]
    classes = np.stack([vocabulary.encode([name])[0] for name in ("boot", "hat")] * 80)
    seen = rng.normal(0, 0.3, (1, 64, 24)).astype(np.float32)
    seen[0, :, 0] += [3 if n % 2 else -3 for n in range(64)]
    material = Material(
        seen=np.dstack([seen, np.zeros((1, 64, 16), np.float32)]),
        visual=np.full((1, 64, 4), 0.5, np.float32),
        labels=labels,
        corpora=["drawn"] * 64,
        weights=np.full(64, 1 / 64, np.float32),
        class_names=[["boot"], ["hat"]] * 80,
        class_seen=np.hstack([np.zeros((160, 24), np.float32), classes]).astype(np.float32),
    )
    image_head, text_head = lite_fit.fit(material, vocabulary, 30, 1)
    similarity = image_head(material.seen[0]) @ text_head(vocabulary.encode(["hat", "boot"])).T
    said = similarity.argmax(axis=1)
    assert np.mean(said == [n % 2 for n in range(64)]) >= 0.95


def _noise(count: int, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    return lite_corpus.joined([
        Features(**{key: rng.normal(size=(count, 4)).astype(np.float32)
                    for key in Features.__slots__})
    ])  # fmt: skip
