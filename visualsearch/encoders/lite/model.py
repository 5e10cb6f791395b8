"""The trained part of the lite encoder: small matrices over fixed features, in NumPy."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.lite.features import Features, unit
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.errors import EncoderError
from visualsearch.types import FloatArray

WEIGHTS = Path(__file__).with_name("lite_weights.npz")
CHECKSUM = Path(__file__).with_name("lite_weights.json")
FORMAT = 2
WHITENED = 0.25  # exponent of partial whitening: rare traits distinguish products
TOP_CLASSES = 12  # likeliest of the tower's 1,000 classes; the rest is noise
FAMILIAR_ENOUGH = 0.75  # familiarity of an image's classes from which its kind counts as known
STRANGER = 0.2  # length of the semantic part for an image of unknown kind


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear map plus one hidden ReLU layer; the output rows have unit length."""

    skip: FloatArray
    enter: FloatArray
    enter_bias: FloatArray
    leave: FloatArray
    bias: FloatArray

    @classmethod
    def empty(cls) -> "Head":
        """Return a head that has not been trained."""
        nothing = np.zeros(0, dtype=np.float32)
        return cls(nothing, nothing, nothing, nothing, nothing)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Map (n, inputs) to float32 unit rows (n, outputs)."""
        hidden = np.maximum(x @ self.enter + self.enter_bias, 0)
        return unit(x @ self.skip + hidden @ self.leave + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Principal components of weighted blocks of features."""

    blocks: Mapping[str, float]  # the weight of each block
    basis: FloatArray  # (features, components)
    spread: FloatArray  # (components,): their standard deviations

    def __call__(self, features: Features, means: Mapping[str, FloatArray]) -> FloatArray:
        """Return the components of centered, weighted blocks of features: (n, components)."""
        rows: FloatArray = stacked(features, means, self.blocks) @ self.basis
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class LiteModel:
    """The result of training.

    An image's vector is (√share · visual part, √(1-share) · semantic part). A text's vector is
    (zeros, semantic part). Images are compared by both parts, texts with images by the second.
    """

    means: Mapping[str, FloatArray]  # per block of features
    looks: Projection  # of the visual part
    sense: Projection  # input of the image head
    classes: FloatArray  # (1000, width): text vectors of the ImageNet class names
    familiar: FloatArray  # (1000,): how well training covered each class, 0 to 1
    image_head: Head
    text_head: Head
    vocabulary: Vocabulary
    share: float
    alpha: float

    @property
    def visual_dim(self) -> int:
        """Return the length of the visual part."""
        return len(self.looks.spread)

    @property
    def dim(self) -> int:
        """Return the length of a vector."""
        return self.visual_dim + len(self.image_head.bias)

    def images(self, features: Features) -> FloatArray:
        """Return (n, dim) unit rows."""
        visual, semantic = self.visual(features), self.semantic(features)
        return unit(np.hstack([self.share**0.5 * visual, (1 - self.share) ** 0.5 * semantic]))

    def visual(self, features: Features) -> FloatArray:
        """Return the visual part, (n, visual_dim) unit rows."""
        return unit(self.looks(features, self.means) / self.looks.spread**WHITENED)

    def semantic(self, features: Features) -> FloatArray:
        """Return the semantic part: unit rows for known kinds, shorter rows for unknown ones.

        The image head's output is noise for a kind that training did not cover. There the tower's
        likeliest class names are used instead, with the length STRANGER.
        """
        known = self.familiarity(features)[:, None]
        names = unit(self.text_head(named(features.logits, self.classes)))
        mixed = known * self.image_head(self.seen(features)) + (1 - known) * STRANGER * names
        return mixed.astype(np.float32)

    def familiarity(self, features: Features) -> FloatArray:
        """Return how well training covered each image's likely classes, 0 to 1: (n,)."""
        top, shares = likeliest(features.logits)
        met: FloatArray = (shares * self.familiar[top]).sum(axis=1)
        share: FloatArray = np.minimum(met / FAMILIAR_ENOUGH, 1)
        return share

    def seen(self, features: Features) -> FloatArray:
        """Return the image head's input: whitened components, then class names."""
        whitened = self.sense(features, self.means) / self.sense.spread
        rows: FloatArray = np.hstack([whitened, named(features.logits, self.classes)])
        return rows.astype(np.float32)

    def texts(self, texts: list[str]) -> FloatArray:
        """Return (n, dim) unit rows."""
        semantic = unit(self.text_head(self.vocabulary.encode(texts)))
        return np.hstack([np.zeros((len(texts), self.visual_dim), dtype=np.float32), semantic])


def stacked(
    features: Features, means: Mapping[str, FloatArray], blocks: Mapping[str, float]
) -> FloatArray:
    """Center each block of features, scale it by the root of its weight, and join them."""
    rows = [unit(getattr(features, key) - means[key]) * blocks[key] ** 0.5 for key in blocks]
    return np.hstack(rows).astype(np.float32)


def named(logits: FloatArray, classes: FloatArray) -> FloatArray:
    """Return the weighted mean of an image's likeliest class names, (n, width) (ConSE)."""
    top, shares = likeliest(logits)
    rows: FloatArray = np.einsum("nk,nkd->nd", shares, classes[top])
    return rows


def likeliest(logits: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return each image's likeliest classes and their softmax, both (n, TOP_CLASSES)."""
    top = np.argpartition(-logits, TOP_CLASSES, axis=1)[:, :TOP_CLASSES]
    scores = np.take_along_axis(logits, top, axis=1)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return top, shares


def read(path: Path = WEIGHTS) -> tuple[LiteModel, str]:
    """Read shipped weights; return them with the first 8 hex digits of their SHA-256.

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
        raise EncoderError(f"The lite weights have format {facts['format']}, not {FORMAT}.")

    def single(key: str) -> FloatArray:
        return np.ascontiguousarray(stored[key], dtype=np.float32)

    def projection(name: str) -> Projection:
        return Projection(facts[name], single(f"{name}_basis"), single(f"{name}_spread"))

    def head(name: str) -> Head:
        keys = ("skip", "enter", "enter_bias", "leave", "bias")
        return Head(*(single(f"{name}_{key}") for key in keys))

    words = tuple(bytes(stored["words"]).decode().split("\n"))
    return LiteModel(
        means={key: single(f"mean_{key}") for key in facts["looks"]},
        looks=projection("looks"),
        sense=projection("sense"),
        classes=single("classes"),
        familiar=single("familiar"),
        image_head=head("image"),
        text_head=head("text"),
        vocabulary=Vocabulary(words, stored["word_vectors"], stored["word_scales"]),
        share=facts["share"],
        alpha=facts["alpha"],
    )


def write(model: LiteModel, path: Path, notes: Mapping[str, Any]) -> None:
    """Write weights as float16 and int8, and a JSON file with their SHA-256 and `notes`."""
    projections = {"looks": model.looks, "sense": model.sense}
    facts: dict[str, Any] = {"format": FORMAT, "share": model.share, "alpha": model.alpha}
    facts |= {name: dict(projection.blocks) for name, projection in projections.items()}
    arrays: dict[str, Any] = {f"mean_{key}": value for key, value in model.means.items()}
    for name, projection in projections.items():
        arrays |= {f"{name}_basis": projection.basis, f"{name}_spread": projection.spread}
    arrays |= {"classes": model.classes, "familiar": model.familiar}
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
