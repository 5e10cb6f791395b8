"""The measures of the lite encoder, on vectors whose right answers are known."""

from dataclasses import replace

import numpy as np

from visualsearch.encoders.lite.training import measures
from visualsearch.encoders.lite.training.measures import Shown
from visualsearch.encoders.lite.training.photos import CLOTHING_KINDS, Labels
from visualsearch.encoders.lite.training.quality import BARS, figures, table
from visualsearch.types import FloatArray

KINDS = list(CLOTHING_KINDS.values())
COLORS = ["red", "green", "blue"]
SIZE = 40  # one axis per kind, color and style


def along(*axes: int) -> FloatArray:
    """Return the sum of unit vectors along axes."""
    row: FloatArray = np.eye(SIZE, dtype=np.float32)[list(axes)].sum(axis=0)
    return row


def words(texts: list[str]) -> FloatArray:
    """Encode "<color> <kind>", "<kind>" or "<color>"."""
    rows = []
    for text in texts:
        color = next((place for place, name in enumerate(COLORS) if text.startswith(name)), None)
        kind = text if color is None else text.removeprefix(COLORS[color]).strip()
        axes = [KINDS.index(kind)] if kind else []
        rows.append(along(*axes, *([] if color is None else [10 + color])))
    return np.stack(rows)


def shop() -> Shown:
    """Four styles of dress and of hat in three colors each, a front and a back view of each."""
    labels, rows = [], []
    for kind in (0, 1):
        for style in range(4):
            for color in range(3):
                name = f"{kind}{style}{color}"
                base = Labels(KINDS[kind], COLORS[color], product=name, style=f"{kind}{style}",
                              held_out=style > 0)  # fmt: skip
                labels += [replace(base, view=f"{name}_main"), replace(base, view=f"{name}_back")]
                rows += [along(kind, 10 + color, 20 + 4 * kind + style)] * 2
    return Shown(labels, np.stack(rows))


def test_a_perfect_encoder_scores_one() -> None:
    """Every query of every measure finds what it should."""
    goods = shop()
    everyday = Shown([Labels(kind, held_out=n == 0) for kind in KINDS for n in range(11)],
                     np.repeat(np.eye(SIZE, dtype=np.float32)[:10], 11, axis=0))  # fmt: skip
    scores = measures.everyday(everyday, words) | measures.other_views(goods)
    scores |= measures.colored_kinds(Shown(goods.labels, goods.vectors), words)
    scores |= measures.in_color(goods, words, 1.5)
    names = np.array([row.product for row in goods.labels])
    fronts = Shown(goods.labels[::2], goods.vectors[::2])
    scores |= measures.phone_photos(fronts, names, [goods.vectors])
    assert {name: float(scores[name].mean()) for name in BARS} == dict.fromkeys(BARS, 1.0)


def test_only_pictures_never_trained_on_are_asked_for() -> None:
    """Three of four styles are held out: 18 back views, 36 other colors."""
    goods = shop()
    assert len(measures.other_views(goods)["luma: any view, top 3"]) == 18
    assert len(measures.in_color(goods, words, 1.0)["luma: in another color, first"]) == 36


def test_a_picture_never_finds_itself() -> None:
    """Everyday photos: one photo a category has nobody to find."""
    photos = Shown([Labels(kind, held_out=True) for kind in KINDS] * 1,
                   np.eye(SIZE, dtype=np.float32)[:10])  # fmt: skip
    found = measures.everyday(photos, words)
    assert found["clothing: category precision@10"].max() <= 0.1
    assert found["clothing: category named"].mean() == 1


def test_the_wrong_color_is_not_the_right_answer() -> None:
    """Without a weight for the word, "in blue" finds the source's own likes: other colors."""
    scores = measures.in_color(shop(), words, 0.0)
    assert 0 < scores["luma: in another color, first"].mean() < 1
    assert scores["luma: in another color, top 5"].mean() == 1


def test_precision_counts_as_many_hits_as_there_are_right_answers() -> None:
    """Four red dresses among eight: a word encoder that knows kinds alone gets half the colors."""
    labels = [Labels("dress", "red" if n % 2 else "blue", product=str(n), held_out=True)
              for n in range(8)]  # fmt: skip
    goods = Shown(labels, np.stack([along(0)] * 8))
    scores = measures.colored_kinds(goods, words)
    assert scores["luma: color + kind, kind"].tolist() == [1, 1]
    assert scores["luma: color + kind, color"].sum() == 1


def test_the_better_of_two_crops_counts() -> None:
    """A phone photo is found if either look at it finds its product."""
    shelf = Shown([Labels("", product=name) for name in "abcdefgh"], np.eye(SIZE)[:8])
    names = np.array(["a", "b"])
    whole, closer = np.stack([along(0), along(9)]), np.stack([0.5 * along(7), along(1)])
    found = measures.phone_photos(shelf, names, [whole, closer])
    assert found["grocery: phone photo, first"].tolist() == [1, 1]
    assert measures.phone_photos(shelf, names, [closer])["grocery: phone photo, first"][0] == 0


def test_intervals_hold_the_mean_and_misses_are_marked() -> None:
    """A bar that is missed is told apart; 400 coin flips have an interval of a tenth."""
    scores = {name: np.resize([0.0, 1.0], 400) for name in BARS}
    rows = figures(scores)
    assert all(row.low < row.mean < row.high < row.low + 0.12 for row in rows)
    assert [row.passed for row in rows].count(True) == 1  # the one whose bar is a half
    assert table(rows).count("BELOW") == len(BARS) - 1
