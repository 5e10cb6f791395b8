"""The embedded encoder: its promises, its weights, and what it tells apart."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visualsearch import load_encoder
from visualsearch.datasets.drawn import draw_photo
from visualsearch.datasets.drawn.catalog import draw_product
from visualsearch.datasets.drawn.kinds import KINDS
from visualsearch.encoders import tower
from visualsearch.encoders.lite import model as lite_model
from visualsearch.encoders.lite.encoder import LiteEncoder
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.encoders.lite.training import quality as lite_quality
from visualsearch.errors import EncoderError, ImageError

UNSEEN = "an unseen seed"  # training draws from seeds that start with "corpus"


@pytest.fixture(scope="module")
def lite() -> LiteEncoder:
    """Load the shipped encoder once."""
    return LiteEncoder()


def front(kind: str, color: str, seed: str = UNSEEN) -> bytes:
    """Draw the catalog image of a product."""
    return draw_product(kind, color, seed, "p").images[0].data


def test_vectors_are_unit_rows(lite: LiteEncoder) -> None:
    """Images and words give float32 rows of length one, at most 512 wide."""
    images = lite.encode_images([front("mug", "red"), Image.new("L", (30, 900))])
    texts = lite.encode_texts(["red mug", "", "Ωμέγα", "x" * 5000])
    for rows, count in ((images, 2), (texts, 4)):
        assert rows.shape == (count, lite.dim)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert lite.dim <= 512
    assert (lite.device, lite.model_id[:5]) == ("cpu", "lite:")


def test_nothing_in_nothing_out(lite: LiteEncoder) -> None:
    """Empty lists give empty arrays of the right width."""
    assert lite.encode_images([]).shape == lite.encode_texts([]).shape == (0, lite.dim)


def test_a_vector_does_not_depend_on_its_batch(lite: LiteEncoder) -> None:
    """The same bytes give the same vector alone, in a batch, and in another order."""
    data = [front(kind, "green") for kind in list(KINDS)[:10]]
    whole = lite.encode_images(data)
    alone = np.concatenate([lite.encode_images([one]) for one in data])
    turned = lite.encode_images(data[::-1])[::-1]
    np.testing.assert_allclose(alone, whole, atol=1e-4)
    np.testing.assert_allclose(turned, whole, atol=1e-4)


def test_a_damaged_picture_is_an_image_error(lite: LiteEncoder) -> None:
    """Bytes that are no image raise the coded error."""
    with pytest.raises(ImageError) as caught:
        lite.encode_images([front("mug", "red"), b"no picture"])
    assert caught.value.code == "image_not_an_image"


def test_words_find_kind_and_color(lite: LiteEncoder) -> None:
    """Among all kinds in four colors "<color> <kind>" finds its product first, nearly always."""
    pairs = [(kind, color) for kind in KINDS for color in ("red", "navy", "yellow", "white")]
    vectors = lite.encode_images([front(kind, color) for kind, color in pairs])
    texts = lite.encode_texts([f"{color} {kind}" for kind, color in pairs])
    hits = [pairs[index] for index in (texts @ vectors.T).argmax(axis=1)]
    both = zip(hits, pairs, strict=True)
    kinds, colors = np.array([(h[0] == p[0], h[1] == p[1]) for h, p in both]).T
    assert kinds.mean() >= 0.9
    assert colors.mean() >= 0.9


def test_synonyms_and_unlisted_words_help(lite: LiteEncoder) -> None:
    """Words of the trade find the kind that they mean."""
    kinds = list(KINDS)
    vectors = lite.encode_images([front(kind, "blue") for kind in kinds])
    meant = {"couch": "sofa", "trainers": "sneaker", "rucksack": "backpack", "tee": "t-shirt",
             "purse": "handbag", "coffee cup": "mug", "pants": "trousers"}  # fmt: skip
    scores = lite.encode_texts(list(meant)) @ vectors.T
    found = [kinds[index] for index in scores.argmax(axis=1)]
    assert sum(f == m for f, m in zip(found, meant.values(), strict=True)) >= len(meant) - 1


def test_a_picture_and_a_color_find_the_recolored_product(lite: LiteEncoder) -> None:
    """For "this, but in navy" the default weight turns the color and keeps the kind."""
    colors = ("red", "navy", "yellow", "green")
    pairs = [(kind, color) for kind in ("dress", "mug", "sofa", "boot") for color in colors]
    vectors = lite.encode_images([front(kind, color) for kind, color in pairs])
    query = lite.encode_images([front("dress", "red", "another")])[0]
    query = query + lite.default_alpha * lite.encode_texts(["navy"])[0]
    assert pairs[int((vectors @ query).argmax())] == ("dress", "navy")


def test_a_phone_photo_finds_its_kind(lite: LiteEncoder) -> None:
    """Tilted, cluttered and stored sideways, a thing still meets its kind among the first three."""
    kinds = list(KINDS)
    vectors = lite.encode_images([front(kind, "red") for kind in kinds])
    photos = lite.encode_images([draw_photo(kind, "red", "plain", 11, 480) for kind in kinds])
    best = np.argsort(-(photos @ vectors.T), axis=1)[:, :3]
    assert (
        np.mean([kind in {kinds[i] for i in row} for kind, row in zip(kinds, best, strict=True)])
        >= 0.7
    )


def test_weights_know_what_they_were_measured_to_do() -> None:
    """The record beside the weights passes every bar; `make test-deep` measures again."""
    record = json.loads(lite_model.CHECKSUM.read_text())
    measured = {name: figure["mean"] for name, figure in record["measured"].items()}
    assert {name for name, bar in lite_quality.BARS.items() if measured[name] < bar} == set()
    assert measured["drawn: color + kind, kind"] >= 0.9
    assert measured["drawn: color + kind, color"] >= 0.9
    assert lite_model.WEIGHTS.stat().st_size < 12_000_000


def test_other_weights_have_another_id(tmp_path: Path, lite: LiteEncoder) -> None:
    """The id comes from the weights' checksum: vectors of two trainings are never mixed."""
    path = tmp_path / "other.npz"
    model, digest = lite_model.read()
    lite_model.write(replace(model, share=model.share / 2), path, {})
    other = LiteEncoder(path)
    assert lite.model_id == f"lite:{digest}"
    assert other.model_id != lite.model_id
    image = [front("mug", "red")]
    assert not np.allclose(other.encode_images(image), lite.encode_images(image), atol=1e-3)


def test_a_picture_of_nothing_known_says_less(lite: LiteEncoder) -> None:
    """Noise has a shorter semantic part than a drawn dress: what it looks like then counts more."""
    noise = np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    vectors = lite.encode_images([front("dress", "red"), Image.fromarray(noise)])
    known, strange = np.linalg.norm(vectors[:, lite._model.visual_dim :], axis=1)
    assert strange < known


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """One flipped bit, or a missing file, is an EncoderError that says what to do."""
    path = tmp_path / "lite_weights.npz"
    data = bytearray(lite_model.WEIGHTS.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.with_suffix(".json").write_bytes(lite_model.CHECKSUM.read_bytes())
    with pytest.raises(EncoderError) as caught:
        lite_model.read(path)
    assert caught.value.code == "encoder_weights_damaged"
    with pytest.raises(EncoderError, match="Reinstall"):
        lite_model.read(tmp_path / "absent.npz")


def test_written_weights_read_back(tmp_path: Path, lite: LiteEncoder) -> None:
    """Writing and reading a model gives the same vectors, with its own checksum in the id."""
    path = tmp_path / "copy.npz"
    model, digest = lite_model.read()
    lite_model.write(model, path, {})
    again, other = lite_model.read(path)
    assert len(digest) == len(other) == 8
    texts = ["navy striped mug", "a couch"]
    np.testing.assert_array_equal(again.texts(texts), lite.encode_texts(texts))


def test_the_tower_equals_plain_convolution_and_batch_norm() -> None:
    """Folding a batch norm into its convolution changes nothing, SAME padding included."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3, stride=2, bias=False)
    norm = torch.nn.BatchNorm2d(8, eps=1e-3).eval()
    for parameter in (norm.weight, norm.bias, norm.running_mean):
        torch.nn.init.normal_(parameter)
    state = {"c.weight": conv.weight.data} | {f"n.{k}": v for k, v in norm.state_dict().items()}
    folded = tower.SameConv(3, 8, 3, 2)
    tower._fold(folded, state, "c", "n")
    x = torch.randn(2, 3, 10, 10)
    with torch.inference_mode():
        expected = norm(conv(torch.nn.functional.pad(x, (0, 1, 0, 1))))
        torch.testing.assert_close(folded(x), expected, atol=1e-5, rtol=1e-5)


def test_the_tower_knows_what_it_was_trained_on(lite: LiteEncoder) -> None:
    """Its own classifier takes a drawn sofa for a couch: weights and preprocessing fit."""
    from visualsearch.encoders.images import decode_image
    from visualsearch.encoders.lite import features as lite_features

    image = decode_image(front("sofa", "red"))
    logits = lite_features.extract(lite._tower, [image]).logits[0]
    assert 831 in np.argsort(-logits)[:10]  # ImageNet: studio couch, day bed


def test_unknown_words_are_taken_apart() -> None:
    """Hyphens, accents and unknown words fall back to known pieces, greedily."""
    words = ("red", "t-shirt", "tshirt", "sun", "##dress", "cafe", "a", "##b")
    vocabulary = Vocabulary(words, np.eye(8, dtype=np.int8), np.ones(8, dtype=np.float16))
    assert vocabulary.word_pieces("Red T-Shirt") == [0, 1]
    assert vocabulary.word_pieces("sundress") == [3, 4]
    assert vocabulary.word_pieces("Café, red!") == [5, 0]
    assert vocabulary.word_pieces("ab zzz") == [6, 7]
    np.testing.assert_allclose(vocabulary.encode(["red sun", "zzz"])[0, [0, 3]], 0.5**0.5)
    assert not vocabulary.encode(["zzz"]).any()


def test_lite_imports_neither_open_clip_nor_torchvision() -> None:
    """A process that encodes with lite has loaded torch alone; importing the package is cheap."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    code = (
        "import sys, visualsearch; assert 'torch' not in sys.modules and 'PIL' not in sys.modules;"
        f"visualsearch.load_encoder('lite').encode_images([{data.getvalue()!r}]);"
        "print([m for m in ('open_clip', 'torchvision', 'timm', 'transformers', 'faiss')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_names_say_what_is_known() -> None:
    """A name of no family is refused with the forms that exist."""
    with pytest.raises(EncoderError, match="open_clip:ARCH/TAG"):
        load_encoder("resnet")
