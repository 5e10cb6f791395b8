"""Loading of open_clip models: by tag, checkpoint, folder or hub, or with random weights."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from visualsearch.errors import EncoderError

RANDOM = "random"
FOLDER, HUB = "local-dir:", "hf-hub:"  # open_clip's prefixes
_SEED = 20240229
_DIGITS = 12  # of a checksum: enough to tell weights apart


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model on the CPU, with its preprocessing and tokenizer."""

    model_id: str
    model: Any
    shape: Callable[[Image.Image], Image.Image]  # resize and crop, as the model's config says
    scale: tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation per channel
    tokenize: Callable[[list[str]], Tensor]


@dataclass(frozen=True, slots=True)
class _Source:
    """`weights` is a tag or a file; None: the folder's or hub's own, or random ones."""

    architecture: str
    weights: str | None
    model_id: str
    what: str  # subject of an error text
    instead: str = ""  # what to do without a network


def load(name: str) -> LoadedModel:
    """Load `ARCH/TAG`, `ARCH//path/to/checkpoint`, `local-dir:/folder`, `hf-hub:ORG/REPO`.

    `ARCH/random` has seeded random weights. The model id of a file or folder contains the
    checksum of its weights, so it depends on the weights and not on their path.

    Raises:
        EncoderError: the text names what could not be loaded, and how to supply it.

    """
    import open_clip

    source = _source(name)
    torch.manual_seed(_SEED)
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            source.architecture,
            pretrained=source.weights,
            pretrained_text=False,
            weights_only=True,
        )
        tokenize = open_clip.get_tokenizer(source.architecture)
    except Exception as error:  # hub, network, unpickling and shape errors are of many types
        first = (str(error).splitlines() or [""])[0][:200]
        raise EncoderError(
            f"{source.what} could not be loaded ({type(error).__name__}: {first}).{source.instead}"
        ) from error
    *shape, _, scale = preprocess.transforms  # …, ToTensor, Normalize
    channels = tuple(scale.mean), tuple(scale.std)
    return LoadedModel(source.model_id, model, _ImageTransform(tuple(shape)), channels, tokenize)


@dataclass(frozen=True, slots=True)
class _ImageTransform:
    steps: tuple[Callable[[Image.Image], Image.Image], ...]

    def __call__(self, image: Image.Image) -> Image.Image:
        for step in self.steps:
            image = step(image)
        return image


def _source(name: str) -> _Source:
    if name.startswith(FOLDER):
        return _folder(name)
    if name.startswith(HUB):
        instead = f" Without a network, download it elsewhere: open_clip:{FOLDER}/path/to/folder."
        return _Source(name, None, f"open_clip:{name}", f"The model {name}", instead)
    import open_clip

    architecture, _, weights = name.partition("/")
    if not architecture or not weights:
        raise EncoderError(
            f"open_clip:{name} names no weights: write open_clip:ARCH/TAG, or "
            "open_clip:ARCH//path/to/checkpoint."
        )
    if architecture not in open_clip.list_models():
        raise EncoderError(f"open_clip knows no architecture {architecture!r}.")
    if weights.startswith("/"):
        return _checkpoint(architecture, Path(weights))
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights != RANDOM and weights not in tags:
        known = ", ".join(tags) or "none"
        raise EncoderError(
            f"open_clip has no weights {weights!r} for {architecture}; it has {known}."
        )
    return _Source(
        architecture,
        None if weights == RANDOM else weights,
        f"open_clip:{name}",
        f"The published weights {weights} for {architecture}",
        " Without a network, download the weights elsewhere and name the file: "
        f"open_clip:{architecture}//path.",
    )


def _checkpoint(architecture: str, path: Path) -> _Source:
    if not path.is_file():
        raise EncoderError(f"There is no checkpoint at {path}.", code="checkpoint_missing")
    model_id = f"open_clip:{architecture}/{_checksum([path])}"
    what = f"The checkpoint {path} for {architecture}"
    instead = f" If it is the tokenizer that is missing, name a folder: open_clip:{FOLDER}/path."
    return _Source(architecture, str(path), model_id, what, instead)


def _folder(name: str) -> _Source:
    """Return a folder in the layout of hubs: a configuration, weights, perhaps a tokenizer."""
    folder = Path(name.removeprefix(FOLDER))
    config = folder / "open_clip_config.json"
    files = [file for file in sorted(folder.glob("*")) if file.suffix in _WEIGHTS]
    if not config.is_file() or not files:
        raise EncoderError(
            f"The folder {folder} needs open_clip_config.json and weights ({', '.join(_WEIGHTS)}).",
            code="checkpoint_missing",
        )
    model_id = f"open_clip:{folder.name}/{_checksum([config, *files])}"
    return _Source(name, None, model_id, f"The model in {folder}")


_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")


def _checksum(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"sha256-{digest.hexdigest()[:_DIGITS]}"
