"""The attributes that may be guessed, their values, and the words that describe each value."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.errors import VisualSearchError
from visualsearch.types import FloatArray

DEFAULT = Path(__file__).parent / "taxonomy.json"
Texts = Callable[[Sequence[str]], FloatArray]


class TaxonomyError(VisualSearchError):
    """A taxonomy that cannot be used; the text names the field."""

    code = "taxonomy_invalid"


@dataclass(frozen=True, slots=True)
class GuessableAttribute:
    """One attribute; each prompt is filled with a value's name and with its synonyms."""

    name: str
    values: Mapping[str, tuple[str, ...]]
    prompts: tuple[str, ...] = ("{value}",)

    def directions(self, encode_texts: Texts) -> FloatArray:
        """Return float32 unit rows of shape (values, dim): each value's mean text embedding."""
        rows = []
        for value, synonyms in self.values.items():
            words = (value, *synonyms)
            texts = [prompt.replace("{value}", word) for prompt in self.prompts for word in words]
            mean = encode_texts(texts).astype(np.float64).mean(axis=0)
            rows.append(mean / max(float(np.linalg.norm(mean)), 1e-9))
        return np.array(rows, dtype=np.float32)


def read_attribute_taxonomy(path: Path = DEFAULT) -> tuple[GuessableAttribute, ...]:
    """Read `{"attributes": {name: {"prompts": […], "values": {value: [synonym, …]}}}}`.

    Raises TaxonomyError, which names what is wrong.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaxonomyError(f"{path}: {error}") from None
    listed = found.get("attributes") if isinstance(found, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise TaxonomyError(f"{path}: attributes: expected an object of attributes by name")
    return tuple(_attribute(path, name, given) for name, given in listed.items())


def _attribute(path: Path, name: str, given: Any) -> GuessableAttribute:
    where = f"{path}: attributes.{name}"
    values = given.get("values") if isinstance(given, dict) else None
    if not isinstance(values, dict) or len(values) < 2:
        raise TaxonomyError(f"{where}.values: expected at least two values, each with synonyms")
    for value, synonyms in values.items():
        if not value.strip() or not _texts(synonyms):
            raise TaxonomyError(f"{where}.values.{value}: expected a list of synonyms, maybe empty")
    prompts = given.get("prompts", ["{value}"])
    if not _texts(prompts) or not prompts or not all("{value}" in one for one in prompts):
        raise TaxonomyError(f"{where}.prompts: expected texts that hold {{value}}")
    return GuessableAttribute(
        name, {value: tuple(s) for value, s in values.items()}, tuple(prompts)
    )


def _texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) and one.strip() for one in given)
