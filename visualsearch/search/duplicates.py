"""Groups of near-duplicates: the same image uploaded twice, or one style in several colors."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.types import FloatArray, Hit

SAME_PICTURE = 0.97  # cosine from which two images are the same, whatever the titles
SAME_STYLE = 0.5  # cosine from which products of one name are variants: "dress" names many
STYLE_ATTRIBUTES = ("item_group_id", "style_group")  # catalogs that name the style themselves
VARYING = ("color", "colour", "size")  # attributes whose words do not count in a style's name
_COLOR_WORDS = """
amber aqua beige black blue bronze brown burgundy camel charcoal copper coral cream cyan dark
ecru fuchsia gold golden gray green grey indigo ivory khaki lavender light lilac lime magenta
maroon mint multicolor multicolour mustard navy nude olive orange peach pink plum purple red
rose rust salmon sand silver tan taupe teal turquoise violet white wine yellow
"""
COLOR_WORDS = frozenset(_COLOR_WORDS.split())
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Style:
    """What makes products variants of one style: the catalog's group, or brand and name."""

    group: str | None
    brand: str | None
    name: tuple[str, ...]  # the title's words without color and size; empty matches no other name

    @property
    def keys(self) -> list[tuple[object, ...]]:
        """Return the lookup keys; variants of one style share a key."""
        by_group = [("group", self.group, self.brand)] if self.group is not None else []
        return [*by_group, *([("name", self.name, self.brand)] if self.name else [])]


def style_of(hit: Hit) -> Style:
    """Return a product's style."""
    attributes = {name.casefold(): value for name, value in hit.attributes.items()}
    group = next((attributes[name] for name in STYLE_ATTRIBUTES if attributes.get(name)), None)
    varying = {word for name in VARYING for word in _words(attributes.get(name, ""))}
    title = _words(hit.title)
    name = tuple(word for word in title if word not in COLOR_WORDS and word not in varying)
    return Style(group, hit.brand, name)


def group_duplicates(hits: Sequence[Hit], vectors: FloatArray, wanted: int) -> list[list[int]]:
    """Return groups of indexes into `hits`; each group's first hit, its head, is the best.

    `hits` are best first; `vectors` are the unit vectors of their images, of shape (hits, dim). A
    hit joins the first group whose head it is a near-duplicate of, else it starts a group. After
    `wanted` groups no more are started. Further hits change no head: groups only grow.
    """
    groups: list[list[int]] = []
    styles: list[Style] = []  # of the heads
    sharing: dict[tuple[object, ...], list[int]] = defaultdict(list)
    heads = np.empty((min(wanted, len(hits)), vectors.shape[1]), dtype=np.float32)
    for place, hit in enumerate(hits):
        style = style_of(hit)
        alike = heads[: len(groups)] @ vectors[place]
        candidates = {number for key in style.keys for number in sharing[key]}
        candidates.update(np.flatnonzero(alike >= SAME_PICTURE).tolist())
        joined = (n for n in sorted(candidates) if _are_variants(style, styles[n], float(alike[n])))
        if (number := next(joined, None)) is not None:
            groups[number].append(place)
        elif len(groups) < wanted:
            for key in style.keys:
                sharing[key].append(len(groups))
            heads[len(groups)] = vectors[place]
            styles.append(style)
            groups.append([place])
    return groups


def _are_variants(one: Style, other: Style, similarity: float) -> bool:
    if similarity >= SAME_PICTURE:
        return True
    if one.group is not None and other.group is not None:
        return one.group == other.group and one.brand == other.brand
    named = bool(one.name) and one.name == other.name and one.brand == other.brand
    return named and similarity >= SAME_STYLE


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
