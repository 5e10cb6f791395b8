"""The learned part of the lite encoder: small matrices over fixed features, in NumPy."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.encoders.lite_features import Features, unit
from visualsearch.encoders.lite_text import Vocabulary
from visualsearch.errors import EncoderError
from visualsearch.types import FloatArray

WEIGHTS = Path(__file__).with_name("lite_weights.npz")
CHECKSUM = Path(__file__).with_name("lite_weights.json")
FORMAT = 1
WHITENED = 0.5  # halfway to equal variance: rare traits tell one product from another
TOP_CLASSES = 12  # of the tower's 1,000: the rest is noise


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear map plus a small hidden layer, ending in unit rows."""

    skip: FloatArray
    enter: FloatArray
    enter_bias: FloatArray
    leave: FloatArray
    bias: FloatArray

    def __call__(self, x: FloatArray) -> FloatArray:
        """Map (n, inputs) to (n, outputs)."""
        hidden = np.maximum(x @ self.enter + self.enter_bias, 0)
        return unit(x @ self.skip + hidden @ self.leave + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class LiteModel:
    """Everything that training produced.

    A picture's vector is (√share · visual part, √(1-share) · semantic part), a text's is (zeros,
    semantic part): pictures meet pictures by both parts, words meet pictures by the second.
    """

    means: Mapping[str, FloatArray]  # per block of features
    blocks: Mapping[str, float]  # the weight of each block
    basis: FloatArray  # (features, components): principal components of the weighted blocks
    spread: FloatArray  # (components,): their standard deviations
    visual_dim: int  # components of the visual part
    classes: FloatArray  # (1000, width): the ImageNet class names as words
    image_head: Head
    text_head: Head
    vocabulary: Vocabulary
    share: float
    alpha: float

    @property
    def dim(self) -> int:
        """Return the length of a vector."""
        return self.visual_dim + len(self.image_head.bias)

    def images(self, features: Features) -> FloatArray:
        """Return (n, dim) unit rows."""
        visual, semantic = self.parts(features)
        return np.hstack([self.share**0.5 * visual, (1 - self.share) ** 0.5 * semantic])

    def parts(self, features: Features) -> tuple[FloatArray, FloatArray]:
        """Return the visual and the semantic part, each of unit rows."""
        components = self.components(features)
        seen = np.hstack([components / self.spread, named(features.logits, self.classes)])
        kept = components[:, : self.visual_dim] / self.spread[: self.visual_dim] ** WHITENED
        return unit(kept), self.image_head(seen)

    def components(self, features: Features) -> FloatArray:
        """Project centred, weighted blocks of features onto the principal components."""
        rows: FloatArray = stacked(features, self.means, self.blocks) @ self.basis
        return rows

    def texts(self, texts: list[str]) -> FloatArray:
        """Return (n, dim) unit rows."""
        semantic = self.text_head(self.vocabulary.encode(texts))
        return np.hstack([np.zeros((len(texts), self.visual_dim), dtype=np.float32), semantic])


def stacked(
    features: Features, means: Mapping[str, FloatArray], blocks: Mapping[str, float]
) -> FloatArray:
    """Centre each block of features, give it the length of its weight, and join them."""
    rows = [unit(getattr(features, key) - means[key]) * blocks[key] ** 0.5 for key in blocks]
    return np.hstack(rows).astype(np.float32)


def named(logits: FloatArray, classes: FloatArray) -> FloatArray:
    """Say what the tower takes a picture for: its likeliest class names, weighted (ConSE)."""
    top = np.argpartition(-logits, TOP_CLASSES, axis=1)[:, :TOP_CLASSES]
    scores = np.take_along_axis(logits, top, axis=1)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    rows: FloatArray = np.einsum("nk,nkd->nd", weights, classes[top])
    return rows


def read(path: Path = WEIGHTS) -> tuple[LiteModel, str]:
    """Read shipped weights; return them with the first digits of their checksum.

    Raises:
        EncoderError: missing, damaged (the checksum differs) or of another format.

    """
    try:
        data = path.read_bytes()
        expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, KeyError, ValueError) as error:
        raise EncoderError(
            f"The lite encoder's weights cannot be read at {path}: {error}. "
            "Reinstall visualsearch, or run `make lite-weights`."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise EncoderError(
            f"{path} is damaged: its sha256 is {digest}, expected {expected}.",
            code="encoder_weights_damaged",
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return _unpacked({key: stored[key] for key in stored.files}), digest[:8]


def _unpacked(stored: Mapping[str, Any]) -> LiteModel:
    facts = json.loads(bytes(stored["facts"]).decode())
    if facts["format"] != FORMAT:
        raise EncoderError(f"Lite weights of format {facts['format']}; this is for {FORMAT}.")

    def single(key: str) -> FloatArray:
        return np.ascontiguousarray(stored[key], dtype=np.float32)

    def head(name: str) -> Head:
        keys = ("skip", "enter", "enter_bias", "leave", "bias")
        return Head(*(single(f"{name}_{key}") for key in keys))

    words = tuple(bytes(stored["words"]).decode().split("\n"))
    return LiteModel(
        means={key: single(f"mean_{key}") for key in facts["blocks"]},
        blocks=facts["blocks"],
        basis=single("basis"),
        spread=single("spread"),
        visual_dim=facts["visual_dim"],
        classes=single("classes"),
        image_head=head("image"),
        text_head=head("text"),
        vocabulary=Vocabulary(words, stored["word_vectors"], stored["word_scales"]),
        share=facts["share"],
        alpha=facts["alpha"],
    )


def write(model: LiteModel, path: Path, notes: Mapping[str, Any]) -> None:
    """Write weights as float16 and int8, and beside them their checksum and `notes`."""
    facts = {"format": FORMAT, "blocks": dict(model.blocks), "visual_dim": model.visual_dim,
             "share": model.share, "alpha": model.alpha}  # fmt: skip
    arrays: dict[str, Any] = {f"mean_{key}": value for key, value in model.means.items()}
    arrays |= {"basis": model.basis, "spread": model.spread, "classes": model.classes}
    for name, head in (("image", model.image_head), ("text", model.text_head)):
        arrays |= {f"{name}_{key}": getattr(head, key) for key in Head.__slots__}
    halves = {key: value.astype(np.float16) for key, value in arrays.items()}
    out = io.BytesIO()
    np.savez_compressed(
        out,
        facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
        words=np.frombuffer("\n".join(model.vocabulary.words).encode(), dtype=np.uint8),
        word_vectors=model.vocabulary.vectors,
        word_scales=model.vocabulary.scales,
        **halves,
    )
    path.write_bytes(out.getvalue())
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, **notes}, indent=2) + "\n")
