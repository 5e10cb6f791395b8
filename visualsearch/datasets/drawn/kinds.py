"""The kinds of product that can be drawn, and what a shop says about each."""

from collections.abc import Callable
from dataclasses import dataclass

from visualsearch.datasets.drawn import bags, footwear, furniture, garments, tableware, tops
from visualsearch.datasets.drawn.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is drawn, filed, priced (EUR) and tagged, and the patterns that suit it."""

    draw: Callable[[Sketch], None]
    category: str
    price: tuple[float, float]
    tags: tuple[str, ...]
    materials: tuple[str, ...]
    patterns: tuple[str, ...] = ("plain",)


_CLOTH = ("plain", "striped", "dotted", "checked", "floral")
_WOVEN = ("plain", "striped", "checked")
_GLAZE = ("plain", "striped", "dotted", "floral")

KINDS: dict[str, Kind] = {
    "dress": Kind(garments.dress, "Women/Dresses", (35, 140), ("women", "summer"),
                  ("cotton", "viscose", "linen"), _CLOTH),
    "skirt": Kind(garments.skirt, "Women/Skirts", (25, 80), ("women",),
                  ("cotton", "wool", "denim"), _CLOTH),
    "trousers": Kind(garments.trousers, "Men/Trousers", (35, 110), ("men", "office"),
                     ("cotton", "wool", "linen"), _WOVEN),
    "shorts": Kind(garments.shorts, "Men/Shorts", (20, 60), ("men", "summer"),
                   ("cotton", "linen"), _WOVEN),
    "t-shirt": Kind(tops.t_shirt, "Men/T-Shirts", (10, 40), ("men", "basics"),
                    ("cotton", "jersey"), ("plain", "striped", "dotted")),
    "shirt": Kind(tops.shirt, "Men/Shirts", (25, 90), ("men", "office"),
                  ("cotton", "linen", "flannel"), _WOVEN),
    "jacket": Kind(tops.jacket, "Women/Jackets", (60, 220), ("women", "outdoor"),
                   ("wool", "nylon", "cotton"), ("plain", "checked")),
    "hat": Kind(tops.hat, "Accessories/Hats", (15, 60), ("accessories",),
                ("felt", "cotton", "straw")),
    "sneaker": Kind(footwear.sneaker, "Shoes/Sneakers", (45, 150), ("shoes", "sport"),
                    ("canvas", "leather", "mesh")),
    "boot": Kind(footwear.boot, "Shoes/Boots", (70, 220), ("shoes", "winter"),
                 ("leather", "suede")),
    "handbag": Kind(bags.handbag, "Bags/Handbags", (30, 180), ("women", "accessories"),
                    ("leather", "canvas"), ("plain", "plain", "striped", "dotted")),
    "backpack": Kind(bags.backpack, "Bags/Backpacks", (30, 120), ("travel", "school"),
                     ("nylon", "canvas"), ("plain", "plain", "dotted", "checked")),
    "chair": Kind(furniture.chair, "Furniture/Chairs", (60, 260), ("home", "dining"),
                  ("wood", "velvet", "plywood")),
    "sofa": Kind(furniture.sofa, "Furniture/Sofas", (390, 1500), ("home", "living"),
                 ("velvet", "linen", "leather"), ("plain", "plain", "striped", "checked")),
    "table": Kind(furniture.table, "Furniture/Tables", (120, 700), ("home", "dining"),
                  ("oak", "beech", "metal")),
    "lamp": Kind(furniture.lamp, "Home/Lamps", (25, 150), ("home", "lighting"),
                 ("linen", "brass", "ceramic"), ("plain", "plain", "striped", "dotted")),
    "mug": Kind(tableware.mug, "Kitchen/Mugs", (6, 25), ("kitchen", "gift"),
                ("stoneware", "porcelain"), _GLAZE),
    "plate": Kind(tableware.plate, "Kitchen/Plates", (6, 30), ("kitchen", "dining"),
                  ("stoneware", "porcelain"), _GLAZE),
    "bowl": Kind(tableware.bowl, "Kitchen/Bowls", (7, 35), ("kitchen", "dining"),
                 ("stoneware", "porcelain"), _GLAZE),
    "vase": Kind(tableware.vase, "Home/Vases", (12, 80), ("home", "gift"),
                 ("glass", "ceramic"), _GLAZE),
}  # fmt: skip
