"""Choose what is not learned, on training photos that were held back for it (training only)."""

from collections.abc import Mapping
from dataclasses import replace

from visualsearch.encoders.lite.model import LiteModel
from visualsearch.encoders.lite.training import drawn as lite_drawn
from visualsearch.encoders.lite.training import measures as lite_measures
from visualsearch.encoders.lite.training.corpus import Corpus
from visualsearch.encoders.lite.training.material import Learned
from visualsearch.encoders.lite.training.photos import digest

ALPHAS = (0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
_PARTS = 4  # one of which is held back


def rehearsal(corpora: Mapping[str, Learned]) -> tuple[dict[str, Learned], Corpus | None]:
    """Return corpora without a quarter of their photos, and all photos of Luma's training split.

    In the second, the quarter is marked as held out; None without Luma.
    """
    learned: dict[str, Learned] = {}
    asked: Corpus | None = None
    for name, corpus in corpora.items():
        back = [name != "drawn" and digest(row.style or row.product) // 10 % _PARTS == 0
                for row in corpus.labels]  # fmt: skip
        learned[name] = corpus.where([row for row, held in enumerate(back) if not held])
        if name == "luma":
            labels = [replace(row, held_out=held)
                      for row, held in zip(corpus.labels, back, strict=True)]  # fmt: skip
            asked = labels, corpus.looks[0]
    return learned, asked


def chosen_alpha(model: LiteModel, asked: Corpus | None, shop: Corpus) -> float:
    """Return the weight of words beside an image that best changes a product's color.

    The worse of photos and drawings counts; of the photos, the first place and the first five do.
    """
    scores: dict[float, float] = {}
    drawings = lite_drawn.Products(shop[0], model.images(shop[1]))
    photos = lite_measures.Shown(asked[0], model.images(asked[1])) if asked else None
    for alpha in ALPHAS:
        found = [lite_drawn.recolored(drawings, model.texts, alpha)]
        if photos:
            answers = lite_measures.in_color(photos, model.texts, alpha).values()
            found.append(sum(float(each.mean()) for each in answers) / 2)
        scores[alpha] = min(found)
        print(f"  alpha {alpha}: " + " ".join(f"{value:.3f}" for value in found))
    return max(scores, key=lambda alpha: scores[alpha])
