"""The bars of the lite encoder as catalogs and queries for `visualsearch evaluate`.

The same photos, split and questions as `visualsearch.encoders.lite.training.quality`; metrics of
`visualsearch evaluate` stand for its measures.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualsearch.encoders.lite.training import photos as lite_photos
from visualsearch.encoders.lite.training.measures import SMALLEST_PAIR
from visualsearch.encoders.lite.training.photos import CLOTHING_KINDS, LUMA_KINDS

HELD_OUT = "held out"


@dataclass(frozen=True, slots=True)
class Bar:
    """Which figure of which set stands for a bar of `lite_quality.BARS`."""

    set: str
    group: str
    metric: str


BARS = {
    "clothing: category named": Bar("clothing", "named", "preference"),
    "clothing: category precision@10": Bar("clothing", "alike", "precision@10"),
    "grocery: phone photo, first": Bar("grocery", "phone photo", "recall@1"),
    "grocery: phone photo, top 5": Bar("grocery", "phone photo", "recall@5"),
    "luma: back view, top 3": Bar("views", "back view", "recall@3"),
    "luma: any view, top 3": Bar("views", "any view", "recall@3"),
    "luma: color + kind, kind": Bar("luma", "text: kind", "precision@shown"),
    "luma: color + kind, color": Bar("luma", "text: color", "precision@shown"),
    "luma: color + kind, both": Bar("luma", "text: both", "precision@shown"),
    "luma: in another color, first": Bar("luma", "image and text", "recall@1"),
    "luma: in another color, top 5": Bar("luma", "image and text", "recall@5"),
}


def write_sets(data: Path, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Write every set's catalog and queries below `folder`; return their paths by name."""
    sets = {"clothing": _clothing, "grocery": _grocery, "views": _views, "luma": _luma}
    found = {}
    for name, make in sets.items():
        catalog, queries = make(data)
        found[name] = (folder / f"{name}.catalog.jsonl", folder / f"{name}.queries.jsonl")
        _write(found[name][0], catalog)
        _write(found[name][1], queries)
    return found


Rows = list[dict[str, Any]]


def _clothing(data: Path) -> tuple[Rows, Rows]:
    """Everyday photos: find the same category, and name it (one text against the nine others)."""
    catalog, queries = [], []
    names = list(CLOTHING_KINDS.values())
    files = sorted((data / "clothing").glob("*/*.jpg"))
    kinds = {path: CLOTHING_KINDS[path.parent.name] for path in files}
    for path, kind in kinds.items():
        catalog.append(_product(path.stem, kind, [path], category=kind))
    for path, kind in kinds.items():
        if lite_photos.digest(path.name) % 10 < 8:
            continue
        alike = [p.stem for p, other in kinds.items() if other == kind and p != path]
        queries.append({"image": str(path), "relevant": alike, "groups": ["alike"],
                        "filters": {"exclude": [path.stem]}})  # fmt: skip
        others = [{"text": name} for name in names if name != kind]
        queries.append({"anchor": {"image": str(path)}, "closer": {"text": kind},
                        "than": others, "groups": ["named"]})  # fmt: skip
    return catalog, queries


def _grocery(data: Path) -> tuple[Rows, Rows]:
    """Phone photos taken in a shop, by crops, among the catalog's images."""
    folder = data / "grocery"
    catalog = [
        _product(row["product_id"], row["title"], [folder / row["images"][0]["path"]])
        for row in _rows(folder / "catalog.jsonl")
    ]
    queries = [
        {"image": str(folder / row["path"]), "relevant": [row["product_id"]],
         "preprocess": {"crops": True}, "groups": ["phone photo"]}
        for row in _rows(folder / "queries.jsonl")
    ]  # fmt: skip
    return catalog, queries


def _views(data: Path) -> tuple[Rows, Rows]:
    """Other views of a held-out product among the first views of all."""
    folder = data / "luma"
    catalog, queries = [], []
    for row in _rows(folder / "catalog.jsonl"):
        first, *others = row["images"]
        catalog.append(_product(row["product_id"], row["title"], [folder / first["path"]]))
        for image in others if _held_out(row) else ():
            back = ["back view"] if "_back" in image["image_id"] else []
            queries.append({"image": str(folder / image["path"]), "groups": ["any view", *back],
                            "relevant": [row["product_id"]]})  # fmt: skip
    return catalog, queries


def _luma(data: Path) -> tuple[Rows, Rows]:
    """Words alone among held-out products; an image alone, a word alone, and both, among all."""
    folder = data / "luma"
    rows = list(_rows(folder / "catalog.jsonl"))
    catalog = [
        _product(
            row["product_id"], row["title"], [folder / image["path"] for image in row["images"]],
            tags=[HELD_OUT] if _held_out(row) else [],
        )
        for row in rows
    ]  # fmt: skip
    return catalog, [*_by_words(rows), *_in_color(rows, folder)]


def _by_words(rows: Rows) -> Iterable[dict[str, Any]]:
    held = [row for row in rows if _held_out(row)]
    pairs = sorted({(_color(row), _kind(row)) for row in held if _color(row) is not None})
    for color, kind in pairs:
        of_color = {row["product_id"] for row in held if _color(row) == color}
        of_kind = {row["product_id"] for row in held if _kind(row) == kind}
        both = of_color & of_kind
        if len(both) < SMALLEST_PAIR:
            continue
        for group, right in (("kind", of_kind), ("color", of_color), ("both", both)):
            yield {"text": f"{color} {kind}", "relevant": sorted(right),
                   "filters": {"tags": [HELD_OUT]}, "top_k": min(10, len(both)),
                   "groups": [f"text: {group}"]}  # fmt: skip


def _in_color(rows: Rows, folder: Path) -> Iterable[dict[str, Any]]:
    """Ask for the same in another color; and by the image alone, by the word alone."""
    for row in filter(_held_out, rows):
        same = [other for other in rows if _style(other) == _style(row)]
        shown, own = str(folder / row["images"][0]["path"]), row["product_id"]
        for color in sorted({_color(other) for other in same} - {_color(row), None}):
            rest = {"relevant": [o["product_id"] for o in same if _color(o) == color],
                    "filters": {"exclude": [own]}}  # fmt: skip
            yield {"image": shown, "text": color, "groups": ["image and text"]} | rest
            yield {"image": shown, "groups": ["image only"]} | rest
            yield {"text": color, "groups": ["text only"]} | rest


def _product(name: str, title: str, pictures: list[Path], **more: Any) -> dict[str, Any]:
    images = [{"image_id": str(n), "path": str(path)} for n, path in enumerate(pictures)]
    return {"product_id": name, "title": title, "images": images} | more


def _held_out(row: Mapping[str, Any]) -> bool:
    return lite_photos.digest(_style(row)) % 2 == 1


def _style(row: Mapping[str, Any]) -> str:
    return str(row["attributes"].get("style_group", row["product_id"]))


def _kind(row: Mapping[str, Any]) -> str:
    return LUMA_KINDS[row["category"]]


def _color(row: Mapping[str, Any]) -> str | None:
    return lite_photos.color_name(row["attributes"].get("color"))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _write(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_split(data: Path, folder: Path) -> tuple[Path, Path]:
    """Write the shop's training and held-out styles as two catalogs; return their paths."""
    rows = list(_rows(data / "luma" / "catalog.jsonl"))
    for row in rows:
        for image in row["images"]:
            image["path"] = str(data / "luma" / image["path"])
    paths = folder / "train.jsonl", folder / "test.jsonl"
    _write(paths[0], [row for row in rows if not _held_out(row)])
    _write(paths[1], [row for row in rows if _held_out(row)])
    return paths
