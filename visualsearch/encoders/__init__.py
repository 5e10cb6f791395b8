"""Encoders: images and words as unit vectors of one space."""

from collections.abc import Sequence

from visualsearch.encoders.protocol import Encoder
from visualsearch.errors import EncoderError

__all__ = ["Encoder", "load_encoder"]


def load_encoder(name: str, device: str | None = None, *, prompts: Sequence[str] = ()) -> Encoder:
    """Load an encoder by name; it is warm when this returns.

    `lite` is embedded and needs no download. `open_clip:ARCH/TAG` takes published weights,
    `open_clip:ARCH//path/to/checkpoint` a file, `open_clip:local-dir:/path/to/folder` a model
    with a configuration and tokenizer of its own, `open_clip:hf-hub:ORG/REPO` the same from a
    hub, `open_clip:ARCH/random` seeded noise (tests). `prompts`, such as "a photo of {text}",
    are what open_clip's words are put into; their vectors are averaged.
    `device` is `cpu`, `cuda`, `cuda:1`, ...; None takes the first GPU for open_clip if there is
    one, else the CPU. The lite encoder always runs on the CPU.

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
