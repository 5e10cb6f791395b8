"""A torchvision detector of random weights, saved as a training would save it."""

import json
from pathlib import Path


def random_checkpoint(folder: Path) -> tuple[Path, Path]:
    """Write a small checkpoint and its label map; return their paths."""
    import torch
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    torch.manual_seed(0)
    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=4
    )
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    labels = {
        "architecture": "fasterrcnn_mobilenet_v3_large_320_fpn",
        "labels": {"1": "dress", "3": "bag"},
    }
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder / "model.pth", folder / "labels.json"
