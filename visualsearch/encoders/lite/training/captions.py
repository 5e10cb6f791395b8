"""Captions of training images, generated from their labels (training only)."""

import random
from dataclasses import dataclass

from visualsearch.encoders.lite.training.photos import Labels

KINDS: dict[str, tuple[str, ...]] = {
    "dress": ("dress", "gown", "summer dress"),
    "skirt": ("skirt", "pleated skirt"),
    "trousers": ("trousers", "pants", "slacks", "chinos", "leggings"),
    "shorts": ("shorts", "short pants"),
    "t-shirt": ("t-shirt", "tee", "tee shirt", "tshirt"),
    "shirt": ("shirt", "button-down shirt", "blouse", "dress shirt"),
    "jacket": ("jacket", "coat", "blazer", "outerwear", "outwear"),
    "hat": ("hat", "cap", "sun hat"),
    "sneaker": ("sneaker", "sneakers", "trainers", "running shoes", "sports shoe"),
    "boot": ("boot", "boots", "ankle boots"),
    "handbag": ("handbag", "purse", "tote bag"),
    "backpack": ("backpack", "rucksack", "school bag"),
    "chair": ("chair", "dining chair", "seat"),
    "sofa": ("sofa", "couch", "settee"),
    "table": ("table", "dining table", "desk"),
    "lamp": ("lamp", "table lamp", "light"),
    "mug": ("mug", "cup", "coffee mug"),
    "plate": ("plate", "dinner plate", "dish"),
    "bowl": ("bowl", "soup bowl"),
    "vase": ("vase", "flower vase"),
    "long-sleeve top": ("long-sleeve top", "longsleeve", "sweater", "pullover"),
    "shoe": ("shoe", "shoes", "footwear"),
    "hoodie": ("hoodie", "sweatshirt", "hooded jacket"),
    "tank top": ("tank top", "tank", "sports bra", "sleeveless top"),
    "bag": ("bag", "duffle bag"),
    "watch": ("watch", "wristwatch"),
    "fitness equipment": ("fitness equipment", "yoga gear"),
}
WIDER = {"sneaker": "shoe", "boot": "shoe", "handbag": "bag", "backpack": "bag"}
KIN = {  # an image labeled as the first may show the second: neither true nor false
    ("shoe", "sneaker"), ("shoe", "boot"), ("bag", "handbag"), ("bag", "backpack"),
    ("long-sleeve top", "t-shirt"), ("long-sleeve top", "shirt"), ("long-sleeve top", "hoodie"),
    ("hoodie", "long-sleeve top"), ("hoodie", "jacket"), ("jacket", "hoodie"),
    ("jacket", "long-sleeve top"), ("shirt", "t-shirt"), ("t-shirt", "shirt"),
    ("t-shirt", "long-sleeve top"), ("shirt", "long-sleeve top"),
}  # fmt: skip
COLORS: dict[str, tuple[str, ...]] = {
    "navy": ("navy", "navy blue", "dark blue"), "blue": ("blue", "royal blue"),
    "red": ("red", "crimson"), "white": ("white",), "black": ("black",),
    "green": ("green",), "yellow": ("yellow",), "pink": ("pink", "rose"),
    "brown": ("brown", "chestnut"), "grey": ("grey", "gray"), "beige": ("beige", "cream", "tan"),
    "orange": ("orange",), "purple": ("purple", "violet"), "teal": ("teal", "turquoise"),
}  # fmt: skip
PATTERNS = {
    "plain": ("plain", "solid"), "striped": ("striped", "stripes"),
    "dotted": ("dotted", "polka dot"), "checked": ("checked", "plaid", "checkered"),
    "floral": ("floral", "flowery"),
}  # fmt: skip
COARSE = {"blue": {"navy", "teal"}, "red": {"pink"}, "grey": {"white", "black"}, "brown": {"beige"}}
"""Color names of a real shop that cover several of COLORS."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and the attributes it states; None: not stated."""

    text: str
    kind: str | None = None
    color: str | None = None
    pattern: str | None = None
    product: str | None = None


def caption(labels: Labels, rng: random.Random) -> Caption:
    """Return a random true caption of an image."""
    if labels.title is not None and rng.random() < 0.25:
        return Caption(labels.title, labels.kind, labels.color, product=labels.product)
    kind = labels.kind
    if kind in WIDER and rng.random() < 0.12:
        kind = WIDER[kind]
    names = KINDS[kind]
    word = names[0] if rng.random() < 0.6 else rng.choice(names)
    color = labels.color if rng.random() < 0.75 else None
    pattern = labels.pattern if rng.random() < 0.3 else None
    if color is None and pattern is None:
        return Caption(rng.choice((word, "a " + word, "photo of a " + word)), kind)
    tint = rng.choice(COLORS[color]) if color and rng.random() < 0.3 else color
    look = rng.choice(PATTERNS[pattern]) if pattern else None
    adjectives = " ".join(part for part in (tint, look) if part)
    if rng.random() < 0.12:
        return Caption(adjectives, None, color, pattern)
    text = f"{word} in {adjectives}" if rng.random() < 0.1 else f"{adjectives} {word}"
    return Caption(text, kind, color, pattern)
