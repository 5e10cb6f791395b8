"""Any open_clip model: published weights, a local checkpoint, or seeded noise for tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visualsearch.encoders.images import decode_image
from visualsearch.errors import EncoderError
from visualsearch.types import FloatArray

DECODED_SIDE = 1024  # pixels: above any model's input, so that its own resize decides
CPU_BATCH, GPU_BATCH = 4, 256
RANDOM = "random"
_SEED = 20240229


@dataclass(frozen=True, slots=True, eq=False)
class OpenClipEncoder:
    """A loaded model with its own preprocessing and tokenizer; bfloat16 on a GPU."""

    model_id: str
    dim: int
    device: str
    _model: Any
    _preprocess: Callable[[Image.Image], Tensor]
    _tokenize: Callable[[list[str]], Tensor]
    default_alpha: float = 0.43  # image and text at 0.7 to 0.3

    @classmethod
    def load(cls, name: str, device: str | None = None) -> Self:
        """Load `ARCH/TAG`, `ARCH//path/to/checkpoint` or `ARCH/random`.

        Raises:
            EncoderError: it says which tag or file was tried, and how to supply it.

        """
        architecture, _, source = name.partition("/")
        if not architecture or not source:
            raise EncoderError(
                f"open_clip:{name} names no weights: write open_clip:ARCH/TAG, or "
                "open_clip:ARCH//path/to/checkpoint."
            )
        place = _device(device)
        model, preprocess, tokenize = _created(architecture, source)
        model = model.to(place).eval()
        if place.startswith("cuda"):
            model = model.to(torch.bfloat16)
        width = _dim(model)
        encoder = cls(f"open_clip:{name}", width, place, model, preprocess, tokenize)
        encoder.encode_texts(["warm"])
        encoder.encode_images([Image.new("RGB", (224, 224))])
        return encoder

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ImageError for a picture it cannot decode."""
        pictures = [
            decode_image(image, DECODED_SIDE) if isinstance(image, bytes) else image.convert("RGB")
            for image in images
        ]
        return self._run(pictures, self._image_rows)

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
        return self._run(list(texts), self._text_rows)

    def _run(self, items: list[Any], forward: Callable[[list[Any]], Tensor]) -> FloatArray:
        batch = GPU_BATCH if self.device.startswith("cuda") else CPU_BATCH
        rows = [np.zeros((0, self.dim), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(items), batch):
                out = forward(items[start : start + batch]).float()
                rows.append(torch.nn.functional.normalize(out, dim=-1).cpu().numpy())
        return np.concatenate(rows)

    def _image_rows(self, pictures: list[Image.Image]) -> Tensor:
        pixels = torch.stack([self._preprocess(picture) for picture in pictures])
        dtype = next(self._model.parameters()).dtype
        rows: Tensor = self._model.encode_image(pixels.to(self.device, dtype))
        return rows

    def _text_rows(self, texts: list[str]) -> Tensor:
        rows: Tensor = self._model.encode_text(self._tokenize(texts).to(self.device))
        return rows


def _device(wanted: str | None) -> str:
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise EncoderError(
            f"The device {wanted!r} cannot be used: {str(error).splitlines()[0]}",
            code="device_unavailable",
        ) from error
    return wanted


def _created(architecture: str, source: str) -> tuple[Any, Any, Any]:
    """Build a model; open_clip reads the preprocessing from the model's own configuration."""
    import open_clip

    if architecture not in open_clip.list_models():
        raise EncoderError(f"open_clip knows no architecture {architecture!r}.")
    weights: str | None = source
    if source == RANDOM:
        weights = None
        torch.manual_seed(_SEED)
    elif source.startswith("/"):
        if not Path(source).is_file():
            raise EncoderError(f"There is no checkpoint at {source}.", code="checkpoint_missing")
    elif source not in open_clip.list_pretrained_tags_by_model(architecture):
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise EncoderError(
            f"open_clip has no weights {source!r} for {architecture}; it has {known}."
        )
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            architecture, pretrained=weights, weights_only=True
        )
    except Exception as error:  # hub, network, unpickling and shape errors are of many types
        kind = "The checkpoint" if source.startswith("/") else "The published weights"
        raise EncoderError(
            f"{kind} {source} for {architecture} could not be loaded "
            f"({type(error).__name__}: {str(error).splitlines()[0][:200]}). Without a network, "
            f"download the weights elsewhere and name the file: open_clip:{architecture}//path.",
        ) from error
    return model, preprocess, open_clip.get_tokenizer(architecture)


def _dim(model: Any) -> int:
    with torch.inference_mode():
        tokens = torch.zeros((1, int(model.context_length)), dtype=torch.long)
        return int(model.encode_text(tokens.to(next(model.parameters()).device)).shape[-1])
