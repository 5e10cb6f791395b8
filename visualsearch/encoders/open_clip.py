"""Encoder for any open_clip model, with the model's own preprocessing and tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from visualsearch.encoders.images import decode_image
from visualsearch.encoders.open_clip_weights import LoadedModel, load
from visualsearch.errors import EncoderError
from visualsearch.types import FloatArray

DECODED_SIDE = 1024  # pixels: above any model's input, which its own resize makes
CPU_BATCH, GPU_BATCH = 8, 256
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class OpenClipEncoder:
    """A loaded model with its preprocessing and tokenizer; it runs in 16-bit floats on a GPU."""

    model_id: str
    dim: int
    device: str
    _loaded: LoadedModel
    _dtype: torch.dtype
    _prompts: tuple[str, ...] = ("{text}",)
    default_alpha: float = 0.43  # 0.3 / 0.7: text to image

    @classmethod
    def load(cls, name: str, device: str | None = None, prompts: Sequence[str] = ()) -> Self:
        """Load a model by its name (see `visualsearch.load_encoder`) and run it once.

        Of several `prompts`, such as "a photo of {text}", the vectors are averaged.

        Raises:
            EncoderError: the text names the tag or file, and how to supply it.

        """
        if wrong := [prompt for prompt in prompts if "{text}" not in prompt]:
            raise EncoderError(f"The prompt {wrong[0]!r} lacks the placeholder {{text}}.")
        place = _device(device)
        loaded = load(name)
        dtype = _dtype(place)
        model = loaded.model.to(place, dtype).eval()
        with torch.inference_mode():
            tokens = loaded.tokenize(["warm"]).to(place)
            width = int(model.encode_text(tokens).shape[-1])
        encoder = cls(loaded.model_id, width, place, loaded, dtype, tuple(prompts) or ("{text}",))
        encoder.encode_images([Image.new("RGB", (64, 64))])  # resized to the model's own size
        return encoder

    def prepare(self, image: Image.Image | bytes) -> Pixels:
        """Return the model's input pixels, uint8 (height, width, 3). Safe on any thread.

        Raises ImageError for an image it cannot decode.
        """
        if isinstance(image, bytes):
            image = decode_image(image, DECODED_SIDE)
        return np.asarray(self._loaded.shape(image.convert("RGB")), dtype=np.uint8)

    def embed(self, prepared: Sequence[Pixels]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
        return self._run(list(prepared), self._image_rows)

    def encode_images(self, images: Sequence[Image.Image | bytes]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ImageError for an image it cannot decode."""
        return self.embed([self.prepare(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows."""
        if len(self._prompts) == 1:
            return self._run(
                [_fill_prompt(self._prompts[0], text) for text in texts], self._text_rows
            )
        said = [_fill_prompt(prompt, text) for text in texts for prompt in self._prompts]
        rows = (
            self._run(said, self._text_rows).reshape(-1, len(self._prompts), self.dim).mean(axis=1)
        )
        unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return unit

    def _run(self, items: list[Any], forward: Callable[[list[Any]], Tensor]) -> FloatArray:
        batch = GPU_BATCH if self.device.startswith("cuda") else CPU_BATCH
        rows = [np.zeros((0, self.dim), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(items), batch):
                out = forward(items[start : start + batch]).float()
                rows.append(torch.nn.functional.normalize(out, dim=-1).cpu().numpy())
        return np.concatenate(rows)

    def _image_rows(self, pictures: list[Pixels]) -> Tensor:
        # uint8 pixels are copied to the device, a quarter of the floats' bytes, and scaled there.
        pixels = torch.from_numpy(np.stack(pictures)).to(self.device).permute(0, 3, 1, 2)
        mean, deviation = (torch.tensor(t, device=self.device)[:, None, None]
                           for t in self._loaded.scale)  # fmt: skip
        scaled = (pixels.float() / 255 - mean) / deviation
        rows: Tensor = self._loaded.model.encode_image(scaled.to(self._dtype))
        return rows

    def _text_rows(self, texts: list[str]) -> Tensor:
        rows: Tensor = self._loaded.model.encode_text(self._loaded.tokenize(texts).to(self.device))
        return rows


def _fill_prompt(prompt: str, text: str) -> str:
    return prompt.replace("{text}", text)


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


def _dtype(place: str) -> torch.dtype:
    """Return bfloat16 on a GPU, float16 on an older GPU, and float32 on a CPU."""
    if not place.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
