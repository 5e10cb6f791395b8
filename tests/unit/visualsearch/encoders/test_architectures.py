"""Every family of models that we name, with noise for weights, beside open_clip's own forward."""

import gc
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from visualsearch import load_encoder
from visualsearch.encoders.open_clip import OpenClipEncoder

WORDS = ["red dress", "a navy striped mug", "sofa"]
# marqo-ecommerce-embeddings-B and -L are SigLIP towers with this preprocessing.
SIGLIP_PIXELS = {
    "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash",
}  # fmt: skip
FOLDERS = {
    "marqo-tiny": {"layers": 1, "timm_model_name": "vit_tiny_patch16_224", "width": 192},
    "ViT-B-16-SigLIP": {},
    "marqo-ecommerce-embeddings-B": {},
}


@pytest.fixture(autouse=True)
def _quiet_and_alone() -> Iterator[None]:
    """Let open_clip not warn of random weights, and no two models be in memory."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
    gc.collect()


def pictures() -> list[Image.Image]:
    """Build noisy images, wide, tall and square."""
    rng = np.random.default_rng(6)
    shapes = [(64, 64), (120, 300), (300, 90)]
    return [Image.fromarray(rng.integers(0, 255, (h, w, 3), dtype=np.uint8)) for h, w in shapes]


def compared(name: str) -> OpenClipEncoder:
    """Load a model and compare its vectors with open_clip's, by open_clip's own preprocessing."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    encoder = load_encoder(f"open_clip:{name}", "cpu")
    assert isinstance(encoder, OpenClipEncoder)
    model = encoder._loaded.model
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
    preprocess = image_transform_v2(config, is_train=False)
    tokenize = open_clip.get_tokenizer(name.removesuffix("/random"))
    with torch.inference_mode():
        images = model.encode_image(torch.stack([preprocess(p) for p in pictures()]))
        words = model.encode_text(tokenize(WORDS))
    for ours, theirs in ((encoder.encode_images(pictures()), images),
                         (encoder.encode_texts(WORDS), words)):  # fmt: skip
        unit = torch.nn.functional.normalize(theirs, dim=-1).numpy()
        np.testing.assert_allclose(ours, unit, atol=5e-5)
    return encoder


@pytest.mark.deep
def test_a_large_clip() -> None:
    """1.7 GB; tests/unit/visualsearch/encoders/test_open_clip.py has the small one."""
    assert compared("ViT-L-14/random").dim == 768


def written(folder: Path, **changes: Any) -> Path:
    """Write a SigLIP as hubs have it: configuration, weights of noise, a tokenizer."""
    import open_clip

    folder.mkdir()
    model: dict[str, Any] = open_clip.get_model_config("ViT-B-16-SigLIP")
    if changes:
        model["vision_cfg"]["timm_model_name"] = changes["timm_model_name"]
        model["vision_cfg"]["timm_pool"] = "avg"
        model["embed_dim"] = changes["width"]
        model["text_cfg"] |= {"layers": changes["layers"], "width": changes["width"], "heads": 3}
    config = {"model_cfg": model, "preprocess_cfg": SIGLIP_PIXELS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    words = [*special.values(), *WORDS[1].split()]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(1)
    random = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(random.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if c else pytest.mark.deep) for n, c in FOLDERS.items()]
)
def test_folders_as_hubs_have_them(name: str, tmp_path: Path) -> None:
    """SigLIP and marqo-ecommerce: own preprocessing (squashed), own tokenizer, saved weights."""
    folder = written(tmp_path / name, **FOLDERS[name])
    encoder = compared(f"local-dir:{folder}")
    assert encoder.model_id.startswith(f"open_clip:{name}/sha256-")
    assert encoder.prepare(pictures()[1]).shape == (224, 224, 3)
    again = load_encoder(f"open_clip:local-dir:{folder}", "cpu")
    np.testing.assert_array_equal(again.encode_texts(WORDS), encoder.encode_texts(WORDS))


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    """The same folder name, one number changed: the vectors must not share an index."""
    from safetensors.torch import load_file

    one = written(tmp_path / "model", **FOLDERS["marqo-tiny"])
    first = load_encoder(f"open_clip:local-dir:{one}", "cpu").model_id
    weights = load_file(one / "open_clip_model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, one / "open_clip_model.safetensors")
    assert load_encoder(f"open_clip:local-dir:{one}", "cpu").model_id != first
