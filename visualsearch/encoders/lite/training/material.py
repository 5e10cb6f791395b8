"""From corpora of images to what the heads are fitted on (training only)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.encoders import tower
from visualsearch.encoders.lite.features import Features, unit
from visualsearch.encoders.lite.model import LiteModel, Projection, likeliest, stacked
from visualsearch.encoders.lite.training import corpus as lite_corpus
from visualsearch.encoders.lite.training.corpus import Corpus
from visualsearch.encoders.lite.training.fit import Material
from visualsearch.encoders.lite.training.photos import Labels
from visualsearch.types import FloatArray

COMPONENTS = 384
# The visual part: much of the late layers, some color (docs/adr/0009-lite-encoder.md).
LOOKS = {"last": 1.0, "peaks": 1.0, "narrow": 1.5, "shapes": 0.7, "parts": 0.2, "texture": 0.15,
         "hues": 0.6}  # fmt: skip
# The image head gains from detail that is noise to the visual part.
SENSE = {"last": 1.0, "peaks": 1.0, "narrow": 1.0, "shapes": 0.5, "parts": 0.3, "texture": 0.3,
         "hues": 0.4}  # fmt: skip
_HALF_MET = 1.0
_PROTOTYPES = 0.3  # what ImageNet's classes weigh beside all images: what else there is to see


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A corpus and the same images in other looks."""

    labels: list[Labels]
    looks: Sequence[Features]  # the plain one first

    def where(self, rows: Sequence[int]) -> "Learned":
        """Take some images."""
        looks = [lite_corpus.chosen(look, rows) for look in self.looks]
        return Learned([self.labels[row] for row in rows], looks)


def learned(plain: Corpus, *others: Corpus) -> Learned:
    """Put the looks of one corpus together; they must hold the same images."""
    labels = plain[0]
    for other, _ in others:
        if [row.product for row in other] != [row.product for row in labels]:
            raise ValueError("the looks of a corpus differ in their images: empty the cache")
    return Learned(labels, [plain[1], *(features for _, features in others)])


def weights(corpora: Mapping[str, Learned]) -> FloatArray:
    """Show each corpus as often as the square root of its size says, each kind in it alike."""
    parts = []
    for corpus in corpora.values():
        kinds = [row.kind for row in corpus.labels]
        rarity = np.array([1 / kinds.count(kind) for kind in kinds]) ** 0.5
        parts.append(rarity / rarity.sum() * len(kinds) ** 0.5)
    joined = np.concatenate(parts)
    shares: FloatArray = (joined / joined.sum()).astype(np.float32)
    return shares


def prototypes() -> FloatArray:
    """Return (1000, 1280): what the tower's classifier looks for, per class, as unit rows."""
    rows = tower.load_tower().classifier.weight.detach().numpy()
    return unit(rows - rows.mean(axis=0))


def means(features: Features, shares: FloatArray) -> dict[str, FloatArray]:
    """Return the weighted mean of each block."""
    return {key: (shares @ getattr(features, key)).astype(np.float32) for key in LOOKS}


def projection(
    features: Features,
    shares: FloatArray,
    centre: Mapping[str, FloatArray],
    blocks: Mapping[str, float],
    classes: FloatArray,
) -> Projection:
    """Find the principal components of weighted blocks over images and class prototypes."""
    pictures = stacked(features, centre, blocks) * shares[:, None] ** 0.5
    rows = np.vstack([pictures, _as_pictures(classes, centre, blocks)
                      * (_PROTOTYPES / len(classes)) ** 0.5])  # fmt: skip
    values, sides = np.linalg.eigh(rows @ rows.T)  # fewer images than features
    best = np.argsort(-values)[:COMPONENTS]
    spread = np.sqrt(np.maximum(values[best], 1e-8))
    basis = rows.T @ sides[:, best] / spread
    return Projection(blocks, basis.astype(np.float32), spread.astype(np.float32))


def _as_pictures(
    classes: FloatArray, centre: Mapping[str, FloatArray], blocks: Mapping[str, float]
) -> FloatArray:
    """Lay class prototypes into the block that they are about; of the others nothing is known."""
    rows = [
        classes * blocks[key] ** 0.5
        if key == "last"
        else np.zeros((len(classes), len(centre[key])))
        for key in blocks
    ]
    return np.hstack(rows).astype(np.float32)


def familiar(corpora: Mapping[str, Learned]) -> FloatArray:
    """Say how far the images have met each of the tower's classes, 0 to 1: (classes,).

    A class is half met at `_HALF_MET` of the share that it would have among images of everything.
    """
    met = np.zeros(tower.CLASSES)
    for corpus in corpora.values():
        top, shares = likeliest(corpus.looks[0].logits)
        met += np.bincount(top.ravel(), shares.ravel(), tower.CLASSES) / len(top) / len(corpora)
    rows: FloatArray = (met / (met + _HALF_MET / tower.CLASSES)).astype(np.float32)
    return rows


def material(
    model: LiteModel, corpora: Mapping[str, Learned], names: Sequence[Sequence[str]]
) -> Material:
    """Turn images and classes into what a model without heads makes of them."""
    count = max(len(corpus.looks) for corpus in corpora.values())
    seen, visual = [], []
    for turn in range(count):
        looks = [corpus.looks[turn % len(corpus.looks)] for corpus in corpora.values()]
        seen.append(np.concatenate([model.seen(look) for look in looks]))
        visual.append(np.concatenate([model.visual(look) for look in looks]))
    found = prototypes()
    sensed = _as_pictures(found, model.means, model.sense.blocks) @ model.sense.basis
    return Material(
        seen=np.stack(seen),
        visual=np.stack(visual).astype(np.float32),
        labels=[row for corpus in corpora.values() for row in corpus.labels],
        corpora=[name for name, corpus in corpora.items() for _ in corpus.labels],
        weights=weights(corpora),
        class_names=names,
        class_seen=np.hstack([unit(sensed / model.sense.spread) * COMPONENTS**0.5,
                              model.classes]).astype(np.float32),
    )  # fmt: skip
