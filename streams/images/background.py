"""Subject segmentation of photos: rembg with a configured model, or GrabCut."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.errors import EncoderError
from visualsearch.search.photos import FindSubject, Mask, subject_by_grabcut


def subject_finder(model: Path | None) -> FindSubject:
    """Return rembg over a U²-Net in ONNX form (u2net, u2netp, silueta), GrabCut without one.

    Raises EncoderError `background_model_unavailable`.
    """
    if model is None:
        return subject_by_grabcut
    try:
        import onnxruntime
        from rembg.sessions.u2net_custom import U2netCustomSession
    except ImportError as error:
        raise _unavailable(model, f"pip install 'visualsearch[background]' ({error})") from error

    class Session(U2netCustomSession):  # type: ignore[misc]  # untyped
        """rembg's session, with a model path outside of its own folder."""

        @classmethod
        def download_models(cls, *_: Any, **options: Any) -> str:
            return str(options["model_path"])

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # images run concurrently on our threads
    try:
        session = Session(
            "u2net_custom", options, providers=["CPUExecutionProvider"], model_path=str(model)
        )
    except Exception as error:  # the runtime raises many types
        raise _unavailable(model, str(error)) from error

    def find(image: Image.Image) -> Mask:
        return np.asarray(session.predict(image)[0], dtype=np.uint8)

    return find


def _unavailable(model: Path, why: str) -> EncoderError:
    return EncoderError(
        f"The background model {model} cannot be used: {why}", code="background_model_unavailable"
    )
