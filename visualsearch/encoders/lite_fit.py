"""Fit the lite encoder's two heads so that words and pictures meet (training only)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from visualsearch.encoders.lite_captions import caption, truth
from visualsearch.encoders.lite_corpus import Labels
from visualsearch.encoders.lite_model import Head
from visualsearch.encoders.lite_text import Vocabulary
from visualsearch.types import FloatArray

SEMANTIC_DIM = 256
HIDDEN = 512
BATCH = 160


class _Trainable(nn.Module):
    """The twin of `lite_model.Head` that gradients flow through."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.skip = nn.Linear(inputs, SEMANTIC_DIM)
        self.enter = nn.Linear(inputs, HIDDEN)
        self.leave = nn.Linear(HIDDEN, SEMANTIC_DIM, bias=False)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
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
    """Pictures as the image head sees them, what is known of them, how often to show them."""

    seen: FloatArray  # (n, components + width): whitened components, then class names
    labels: Sequence[Labels]
    weights: FloatArray  # (n,), sums to 1
    class_names: Sequence[Sequence[str]]  # per ImageNet class its synonyms; may be empty
    classes: FloatArray  # (classes, width)


def fit(material: Material, vocabulary: Vocabulary, steps: int, seed: int) -> tuple[Head, Head]:
    """Return image head and text head, trained contrastively with several right answers a row."""
    torch.manual_seed(seed)
    rng, picks = random.Random(seed), np.random.default_rng(seed)
    image_head = _Trainable(material.seen.shape[1])
    text_head = _Trainable(vocabulary.vectors.shape[1])
    warmth = nn.Parameter(torch.tensor(2.5))
    parameters = [*image_head.parameters(), *text_head.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "weight_decay": 0.02}, {"params": [warmth], "weight_decay": 0.0}],
        lr=1.5e-3,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps)
    for step in range(steps):
        rows = picks.choice(len(material.labels), BATCH, p=material.weights)
        scale = warmth.exp().clamp(max=40)
        loss = _pictures(material, rows, vocabulary, (image_head, text_head), scale, rng)
        if material.class_names:
            loss = loss + 0.3 * _classes(material, picks, rng, vocabulary, (image_head, text_head))
        loss = loss + 2.0 * _kept(vocabulary, picks, text_head)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"  step {step + 1}/{steps}: loss {loss.item():.3f}", end="\r", flush=True)
    print()
    return image_head.eval().frozen(), text_head.eval().frozen()


Heads = tuple[_Trainable, _Trainable]


def _pictures(
    material: Material,
    rows: np.ndarray,
    vocabulary: Vocabulary,
    heads: Heads,
    scale: Tensor,
    rng: random.Random,
) -> Tensor:
    """Pull pictures to what is said of them, push them from what is known to be false."""
    shown = [material.labels[row] for row in rows]
    said = [caption(labels, rng) for labels in shown]
    holds, unknown = (torch.from_numpy(table) for table in truth(said, shown))
    x = torch.from_numpy(material.seen[rows])
    width = material.classes.shape[1]
    x = x + 0.35 * torch.randn_like(x) * torch.tensor([1.0] * (x.shape[1] - width) + [0.05] * width)
    x[torch.rand(len(rows)) < 0.15, -width:] = 0
    words = torch.from_numpy(vocabulary.encode([claim.text for claim in said]))
    likeness = scale * heads[1](words) @ heads[0](x).T
    likeness = likeness.masked_fill(unknown, -1e4)
    return _several(likeness, holds) + _several(likeness.T, holds.T)


def _several(logits: Tensor, holds: Tensor) -> Tensor:
    """Cross-entropy against all right answers of a row alike."""
    target = holds.float() / holds.sum(dim=1, keepdim=True)
    return functional.cross_entropy(logits, target)


def _classes(
    material: Material,
    picks: np.random.Generator,
    rng: random.Random,
    vocabulary: Vocabulary,
    heads: Heads,
) -> Tensor:
    """Teach the names of ImageNet's classes, by pictures of which only the class is known."""
    rows = picks.choice(len(material.classes), 128, replace=False)
    names = [rng.choice(list(material.class_names[row])) for row in rows]
    x = torch.zeros(len(rows), material.seen.shape[1])
    width = material.classes.shape[1]
    x[:, -width:] = torch.from_numpy(material.classes[rows])
    x[:, :-width] = 0.5 * torch.randn(len(rows), x.shape[1] - width)
    words = torch.from_numpy(vocabulary.encode(names))
    logits = 15 * heads[1](words) @ heads[0](x).T
    target = torch.arange(len(rows))
    return functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)


def _kept(vocabulary: Vocabulary, picks: np.random.Generator, text_head: _Trainable) -> Tensor:
    """Keep words alike that the sentence model finds alike, so that unseen words make sense."""
    rows = picks.choice(len(vocabulary.words), 192, replace=False)
    vectors = vocabulary.vectors[rows].astype(np.float32)
    x = functional.normalize(torch.from_numpy(vectors), dim=1)
    y = text_head(x)
    return functional.mse_loss(y @ y.T, x @ x.T)
