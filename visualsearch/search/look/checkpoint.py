"""Object detectors of torchvision, loaded from a checkpoint and a map of its labels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.errors import EncoderError
from visualsearch.search.look.regions import Photo, Proposal, Region, suppress_overlaps
from visualsearch.types import FloatArray

CONFIDENT = 0.5
PER_CATEGORY = 4
ARCHITECTURE = "fasterrcnn_resnet50_fpn"


class CheckpointDetector:
    """A torchvision detection model, loaded from a state dict.

    The label map is JSON: `{"architecture": "fasterrcnn_resnet50_fpn", "labels": {"1": "dress"}}`;
    `architecture` is a name of `torchvision.models.detection`. Detections of other labels are
    ignored. The file is read with `weights_only`: no code in it is run.
    """

    def __init__(self, model: Any, labels: Mapping[int, str]) -> None:
        self._model = model
        self._labels = dict(labels)

    @classmethod
    def load(cls, checkpoint: Path, label_map: Path) -> "CheckpointDetector":
        """Load a checkpoint. Raises EncoderError `detector_invalid`, which names the file."""
        labels, architecture = _read_labels(label_map)
        import torch
        from torchvision.models import detection

        build = getattr(detection, architecture, None)
        if build is None:
            raise EncoderError(
                f"{label_map}: torchvision has no detection model {architecture!r}.",
                code="detector_invalid",
            )
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            state = state.get("model", state)  # as torchvision's own training script writes it
            model = build(weights=None, weights_backbone=None, num_classes=_classes(state))
            model.load_state_dict(state)
        except Exception as error:  # torch raises many types for other files
            raise EncoderError(
                f"{checkpoint} is no checkpoint of {architecture}: {error}", code="detector_invalid"
            ) from error
        return cls(model.eval(), labels)

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return the labels; each is its own description."""
        return {name: (name,) for name in self._labels.values()}

    def propose(self, photo: Photo) -> list[Proposal]:
        """Return the model's detections of `CONFIDENT` score, best first."""
        import torch

        pixels = np.asarray(photo.image, dtype=np.float32).transpose(2, 0, 1) / 255
        with torch.inference_mode():
            [found] = self._model([torch.from_numpy(pixels)])
        scale = [photo.image.width, photo.image.height] * 2
        rows = zip(
            found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True
        )
        proposals = [
            Proposal(_share(box, scale), self._labels[label], score)
            for box, label, score in rows
            if label in self._labels and score >= CONFIDENT
        ]
        return [
            each for each in proposals if each.box[0] < each.box[2] and each.box[1] < each.box[3]
        ]

    def choose(
        self, _: Photo, proposals: Sequence[Proposal], vectors: FloatArray, most: int
    ) -> list[Region]:
        """Return the model's detections after non-maximum suppression."""
        boxes = np.array([proposal.box for proposal in proposals]).reshape(-1, 4)
        scores = [proposal.score or 0.0 for proposal in proposals]
        ranked = sorted(range(len(proposals)), key=lambda n: -scores[n])
        candidates = ((n, proposals[n].category or "") for n in ranked)
        kept = suppress_overlaps(candidates, boxes, most, PER_CATEGORY)
        return [Region(proposals[n].box, name, scores[n], vectors[n]) for n, name in kept]


def _read_labels(path: Path) -> tuple[dict[int, str], str]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        labels = {int(number): str(name) for number, name in body["labels"].items()}
        if not labels:
            raise ValueError("no labels")  # noqa: TRY301 - one message for every fault
        return labels, str(body.get("architecture", ARCHITECTURE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(
            f"{path} is no label map: {type(error).__name__}: {error}", code="detector_invalid"
        ) from error


def _classes(state: Mapping[str, Any]) -> int:
    """Return the number of classes of a checkpoint's head, background included."""
    bias = state.get("roi_heads.box_predictor.cls_score.bias")
    if bias is not None:
        return len(bias)
    raise ValueError("it has no roi_heads.box_predictor: only the R-CNN family is supported")


def _share(box: Sequence[float], scale: Sequence[int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (
        min(max(edge / side, 0.0), 1.0) for edge, side in zip(box, scale, strict=True)
    )
    return left, top, right, bottom
