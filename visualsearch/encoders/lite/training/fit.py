"""Fit the lite encoder's two heads so that words and images meet (training only)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from visualsearch.encoders.lite.model import Head
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.encoders.lite.training.losses import Batch, Losses
from visualsearch.encoders.lite.training.photos import Labels
from visualsearch.types import FloatArray

SEMANTIC_DIM = 128
HIDDEN = 768
DROPPED = 0.5  # of the hidden units, a step
BATCH = 256
_RATE = 1.5e-3
_MEMORY = 0.995  # of the running mean of the weights, which is what is kept


class Trainable(nn.Module):
    """The twin of `lite_model.Head` that gradients flow through."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.skip = nn.Linear(inputs, SEMANTIC_DIM)
        self.enter = nn.Linear(inputs, HIDDEN)
        self.leave = nn.Linear(HIDDEN, SEMANTIC_DIM, bias=False)
        self.dropout = nn.Dropout(DROPPED)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs) to (n, SEMANTIC_DIM) unit rows."""
        hidden = self.dropout(functional.relu(self.enter(x)))
        return functional.normalize(self.skip(x) + self.leave(hidden), dim=1)

    def frozen(self) -> Head:
        """Return the learned matrices."""

        def plain(parameter: Tensor) -> FloatArray:
            return parameter.detach().numpy().T.copy()

        return Head(plain(self.skip.weight), plain(self.enter.weight), plain(self.enter.bias),
                    plain(self.leave.weight), plain(self.skip.bias))  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Images as the image head sees them, what is known of them, how often to show them.

    An image has several looks; those of a corpus with fewer looks are repeated.
    """

    seen: FloatArray  # (looks, n, components + width): whitened components, then class names
    visual: FloatArray  # (looks, n, components): the visual part of their vectors
    labels: Sequence[Labels]
    corpora: Sequence[str]  # (n,): where each is from
    weights: FloatArray  # (n,), sums to 1
    class_names: Sequence[Sequence[str]]  # per ImageNet class its synonyms
    class_seen: FloatArray  # (classes, components + width): its prototype, as if it were an image


def fit(material: Material, vocabulary: Vocabulary, steps: int, seed: int) -> tuple[Head, Head]:
    """Return image head and text head, trained contrastively with several right answers a row."""
    torch.manual_seed(seed)
    picks = np.random.default_rng(seed)
    image_head, text_head = Trainable(material.seen.shape[2]), Trainable(_width(vocabulary))
    warmth = nn.Parameter(torch.tensor(2.5))
    losses = Losses(material, vocabulary, image_head, text_head, seed)
    parameters = [*image_head.parameters(), *text_head.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "weight_decay": 0.02}, {"params": [warmth], "weight_decay": 0.0}],
        lr=_RATE,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    means = [parameter.detach().clone() for parameter in parameters]
    for step in range(steps):
        rows = picks.choice(len(material.labels), BATCH, p=material.weights)
        looks = picks.integers(len(material.seen), size=BATCH)
        loss = losses(Batch(rows, looks), warmth.exp().clamp(max=40))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        schedule.step()
        _average(means, parameters, min(_MEMORY, (step + 1) / (step + 10)))
        if step % 50 == 0 or step == steps - 1:
            print(f"  step {step + 1}/{steps}: loss {loss.item():.3f}", end="\r", flush=True)
    print()
    _average(parameters, means, 0)
    return image_head.eval().frozen(), text_head.eval().frozen()


def _width(vocabulary: Vocabulary) -> int:
    return int(vocabulary.vectors.shape[1])


@torch.no_grad()
def _average(means: Sequence[Tensor], news: Sequence[Tensor], memory: float) -> None:
    for mean, new in zip(means, news, strict=True):
        mean.mul_(memory).add_(new, alpha=1 - memory)
