"""Who finds a photo's subject: the operator's model if there is one, GrabCut otherwise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streams.images.background import subject_finder
from visualsearch.errors import EncoderError
from visualsearch.search.photos import remove_background, subject_by_grabcut


def test_without_a_model_it_is_grabcut() -> None:
    """Nothing to install, nothing to download."""
    assert subject_finder(None) is subject_by_grabcut


def test_a_model_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """At the start of a worker, not at its first request."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(EncoderError, match=r"broken\.onnx") as caught:
        subject_finder(path)
    assert caught.value.code == "background_model_unavailable"


def test_a_model_of_the_operators_finds_the_subject(tmp_path: Path) -> None:
    """By rembg, from any folder: here one that takes what is bright for the subject."""
    pytest.importorskip("rembg", reason="the extra `background` is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx makes the model of this test")
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceMean", ["image"], ["mask"], axes=[1], keepdims=1)],
        "bright",
        [onnx.helper.make_tensor_value_info("image", floats, [1, 3, 320, 320])],
        [onnx.helper.make_tensor_value_info("mask", floats, [1, 1, 320, 320])],
    )
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path = tmp_path / "bright.onnx"
    path.write_bytes(model.SerializeToString())
    photo = Image.new("RGB", (200, 100), (10, 10, 10))
    photo.paste((250, 240, 230), (60, 20, 120, 80))
    find = subject_finder(path)
    mask = find(photo)
    assert mask.shape == (100, 200)
    assert mask[50, 90] > 200
    assert mask[5, 5] < 50
    cut = remove_background(photo, find)
    assert np.abs(np.subtract(cut.size, (67, 67))).max() <= 6
