"""Encoders: images and texts as unit vectors of one space."""

from collections.abc import Sequence

from visualsearch.encoders.protocol import Encoder
from visualsearch.errors import EncoderError

__all__ = ["Encoder", "load_encoder"]


def load_encoder(name: str, device: str | None = None, *, prompts: Sequence[str] = ()) -> Encoder:
    """Load an encoder by name and run it once to warm it up.

    `lite` is embedded and needs no download. The others are open_clip models:
    `open_clip:ARCH/TAG` with published weights, `open_clip:ARCH//path/to/checkpoint` with a file's,
    `open_clip:local-dir:/path/to/folder` with a configuration and tokenizer of its own,
    `open_clip:hf-hub:ORG/REPO` the same from a hub, `open_clip:ARCH/random` with seeded noise
    (tests).

    `prompts` are templates for open_clip's texts, such as "a photo of {text}"; the vectors of
    several are averaged. `device` is `cpu`, `cuda`, `cuda:1`, ...; None takes the first GPU for
    open_clip if there is one, else the CPU. The lite encoder always runs on the CPU.

    Raises:
        EncoderError: unknown name, missing weights, damaged weights or no such device.

    """
    if name == "lite":
        from visualsearch.encoders.lite.encoder import LiteEncoder

        return LiteEncoder()
    family, _, model = name.partition(":")
    if family == "open_clip" and model:
        from visualsearch.encoders.open_clip import OpenClipEncoder

        return OpenClipEncoder.load(model, device, prompts)
    raise EncoderError(
        f"Unknown encoder {name!r}: use 'lite', 'open_clip:ARCH/TAG' or "
        "'open_clip:ARCH//path/to/checkpoint'."
    )
