"""open_clip models, with seeded noise for weights: compared with open_clip's own forward pass."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visualsearch import load_encoder
from visualsearch.encoders.open_clip import OpenClipEncoder
from visualsearch.errors import EncoderError

NAME = "open_clip:ViT-B-32/random"
SMALL = "ViT-S-32-alt"  # for what does not depend on the architecture: it is built in a second


@pytest.fixture(scope="module")
def encoder() -> OpenClipEncoder:
    """Load the random model once; open_clip warns that it is random, which is the point."""
    logging.disable(logging.WARNING)
    loaded = load_encoder(NAME, "cpu")
    logging.disable(logging.NOTSET)
    assert isinstance(loaded, OpenClipEncoder)
    return loaded


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Build five noisy images of different shapes: more than one batch."""
    rng = np.random.default_rng(5)
    shapes = [(64, 64), (200, 100), (90, 300), (224, 224), (31, 17)]
    return [Image.fromarray(rng.integers(0, 255, (h, w, 3), dtype=np.uint8)) for w, h in shapes]


def test_vectors_equal_open_clips_own(
    encoder: OpenClipEncoder, pictures: list[Image.Image]
) -> None:
    """Preprocessing, tokens, batches and normalization change nothing against open_clip itself."""
    import open_clip

    preprocess = open_clip.image_transform(
        224, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    texts = ["red dress", "a navy striped mug", "", "sofa", "x"]
    with torch.inference_mode():
        model = encoder._loaded.model
        images = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
        words = model.encode_text(tokenizer(texts), normalize=True)
    np.testing.assert_allclose(encoder.encode_images(pictures), images.numpy(), atol=2e-5)
    np.testing.assert_allclose(encoder.encode_texts(texts), words.numpy(), atol=2e-5)


def test_vectors_are_unit_rows(encoder: OpenClipEncoder) -> None:
    """Rows are float32 of length one; nothing in, nothing out; the id says that it is random."""
    rows = encoder.encode_texts(["one", "two"])
    assert rows.shape == (2, encoder.dim) == (2, 512)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert encoder.encode_images([]).shape == (0, 512)
    assert encoder.model_id == NAME
    assert encoder.default_alpha == 0.43


def test_a_checkpoint_gives_the_vectors_of_its_model(
    pictures: list[Image.Image], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Saved weights loaded by path reproduce the model that saved them (a small architecture)."""
    import open_clip

    caplog.set_level(logging.ERROR)
    model, _, preprocess = open_clip.create_model_and_transforms(SMALL)
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    loaded = load_encoder(f"open_clip:{SMALL}/{path}", "cpu")
    assert loaded.model_id.startswith(f"open_clip:{SMALL}/sha256-")
    moved = path.rename(tmp_path / "elsewhere.pt")  # the same weights are the same model
    assert load_encoder(f"open_clip:{SMALL}/{moved}", "cpu").model_id == loaded.model_id
    with torch.inference_mode():
        batch = torch.stack([preprocess(picture) for picture in pictures[:2]])
        expected = model.eval().encode_image(batch, normalize=True)
    np.testing.assert_allclose(loaded.encode_images(pictures[:2]), expected.numpy(), atol=1e-5)


def test_prompts_are_averaged(encoder: OpenClipEncoder) -> None:
    """The mean of the unit vectors of each prompt, made a unit vector; without a place: refused."""
    prompts = ("a photo of {text}", "{text} on white")
    prompted = replace(encoder, _prompts=prompts)
    said = encoder.encode_texts(["a photo of mug", "mug on white"]).mean(axis=0)
    expected = said / np.linalg.norm(said)
    np.testing.assert_allclose(prompted.encode_texts(["mug"])[0], expected, atol=1e-5)
    assert prompted.encode_texts([]).shape == (0, 512)
    with pytest.raises(EncoderError, match="lacks the placeholder"):
        load_encoder(NAME, "cpu", prompts=["a photo"])


def test_a_pickled_program_is_no_checkpoint(tmp_path: Path) -> None:
    """A checkpoint that would run code when loaded is refused and does not run it."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (tmp_path / "pwned",))

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(EncoderError, match=r"evil\.pt"):
        load_encoder(f"open_clip:{SMALL}/{path}", "cpu")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("open_clip:ViT-B-32", "names no weights"),
        ("open_clip:ViT-B-32/", "names no weights"),
        ("open_clip:Unheard-Of/openai", "no architecture 'Unheard-Of'"),
        ("open_clip:ViT-B-32/unheard_of", "no weights 'unheard_of'"),
        ("open_clip:ViT-B-32//absent/weights.pt", "no checkpoint at /absent/weights.pt"),
        ("open_clip:local-dir:/absent", "/absent needs open_clip_config.json and weights"),
    ],
)
def test_what_cannot_be_loaded_is_named(name: str, says: str) -> None:
    """Each mistake in a name gets its own message."""
    with pytest.raises(EncoderError, match=says):
        load_encoder(name)


def test_weights_that_cannot_be_fetched_say_how_to_supply_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a network the error names the tag and the way round it."""
    import open_clip

    def offline(*_args: object, **_options: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", offline)
    with pytest.raises(EncoderError, match=r"laion2b_s34b_b79k.*no network.*//path"):
        load_encoder("open_clip:ViT-B-32/laion2b_s34b_b79k")


def test_a_device_that_is_not_there_is_an_encoder_error() -> None:
    """An impossible device is refused before any weights are looked for."""
    with pytest.raises(EncoderError) as caught:
        load_encoder(NAME, "cuda:99")
    assert caught.value.code == "device_unavailable"
