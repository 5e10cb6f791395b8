"""The taxonomy of things in photos: scenes, their categories as prompts, location priors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.errors import QueryError
from visualsearch.search.look.boxes import Boxes

DEFAULT = Path(__file__).with_name("categories.json")
FURTHEST = 4.0  # standard deviations at which deviations are clipped
TRAITS = ("y", "height", "ratio", "x")


@dataclass(frozen=True, slots=True)
class LocationPrior:
    """Place and size of a category's things in photos: (mean, deviation) of each trait.

    `y` is the center's distance from the top, `x` that from the middle, `height` a share of the
    image's, `ratio` width / height in pixels. Deviations of the last two are of logarithms.
    """

    y: tuple[float, float]
    height: tuple[float, float]
    ratio: tuple[float, float]
    x: tuple[float, float]

    def likelihood(self, boxes: Boxes, aspect: float) -> npt.NDArray[np.float64]:
        """Return the log-likelihood of each box, at most 0, up to a constant; shape (n,)."""
        traits = traits_of(boxes, aspect)
        usual = np.array([self.y[0], np.log(self.height[0]), np.log(self.ratio[0]), self.x[0]])
        spread = np.array([self.y[1], self.height[1], self.ratio[1], self.x[1]])
        off = np.minimum(np.abs(traits - usual) / spread, FURTHEST)
        found: npt.NDArray[np.float64] = -0.5 * (off**2).sum(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Category:
    """A category of things: its prompts, and its location prior if there is one."""

    name: str
    prompts: tuple[str, ...]  # compared with crops
    place: LocationPrior | None = None
    aliases: tuple[str, ...] = ()  # other names of the category in catalogs


@dataclass(frozen=True, slots=True)
class Scene:
    """Categories that are photographed together, and the shapes of the windows to search.

    A shape is (height as a share of the image's, width / height in pixels).
    """

    name: str
    categories: tuple[Category, ...]
    shapes: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Scenes, and prompts of the background."""

    scenes: tuple[Scene, ...]
    background: tuple[str, ...]


def read_look_categories(path: Path = DEFAULT) -> Taxonomy:
    """Read a taxonomy. Raises QueryError `look_categories_invalid`, which says what is wrong."""
    try:
        return _taxonomy(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{path} is no file of look categories: {type(error).__name__}: {error}"
        raise QueryError(text, code="look_categories_invalid") from error


def traits_of(boxes: Boxes, aspect: float) -> npt.NDArray[np.float64]:
    """Return the traits of each box in the order of TRAITS, shape (n, 4)."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    across = np.abs((boxes[:, 0] + boxes[:, 2]) / 2 - 0.5)
    down = (boxes[:, 1] + boxes[:, 3]) / 2
    return np.stack([down, np.log(height), np.log(width / height * aspect), across], axis=1)


def _taxonomy(body: Mapping[str, Any]) -> Taxonomy:
    scenes = tuple(_scene(name, each) for name, each in body["scenes"].items())
    if not scenes:
        raise ValueError("no scenes")
    return Taxonomy(scenes, tuple(map(str, body["background"])))


def _scene(name: str, body: Mapping[str, Any]) -> Scene:
    categories = tuple(_category(each, value) for each, value in body["categories"].items())
    shapes = tuple((float(height), float(ratio)) for height, ratio in body["windows"])
    if not categories or not shapes:
        raise ValueError(f"scene {name!r} has no categories or no windows")
    if not all(0 < height <= 1 and ratio > 0 for height, ratio in shapes):
        raise ValueError(f"scene {name!r}: a window is [share of the height, width / height]")
    return Scene(name, categories, shapes)


def _category(name: str, body: Mapping[str, Any]) -> Category:
    prompts = tuple(map(str, body["prompts"]))
    if not prompts:
        raise ValueError(f"category {name!r} has no prompts")
    also = tuple(map(str, body.get("also", ())))
    where = body.get("place")
    if where is None:
        return Category(name, prompts, aliases=also)
    pairs = {trait: (float(where[trait][0]), float(where[trait][1])) for trait in TRAITS}
    if min(pairs["height"][0], pairs["ratio"][0], *(spread for _, spread in pairs.values())) <= 0:
        raise ValueError(f"category {name!r}: heights, ratios and spreads are positive")
    return Category(name, prompts, LocationPrior(**pairs), also)
