"""Spelling hints: for a filter value that no product has, known values that are similar."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast

from visualsearch.index.arrays import IntArray
from visualsearch.index.columns import Held
from visualsearch.index.paths import SEPARATOR, prefixes
from visualsearch.types import Filters

CLOSE = 3  # names in a hint
ALIKE = 0.6  # difflib's ratio: one typing error in a word of four letters still counts
MAX_HINTS = 5  # per request, which may have hundreds of unknown values


@dataclass(frozen=True, slots=True)
class Hint:
    """A filter value that no searchable product has, and known values that are spelled alike."""

    field: str  # `category[0]`, `brand[1]`, `tags[0]`, `attributes.color`
    value: str
    close: tuple[str, ...]  # best first; empty if none is similar


def hints(filters: Filters, held: Held, slots: IntArray) -> tuple[Hint, ...]:
    """Return a hint for each value that no product of these slots has, at most `MAX_HINTS`."""
    found: list[Hint] = []
    if filters.category:
        paths = (path for each in held.categories(slots) for path in prefixes(each))
        found += _unknown("category", filters.category, paths)
    if filters.brand:
        found += _unknown("brand", filters.brand, held.brands(slots))
    if filters.tags:
        found += _unknown("tags", filters.tags, [str(tag) for tag in held.tags(slots)])
    if filters.attributes:
        values: dict[str, set[str]] = {}
        for name, value in cast("set[tuple[str, str]]", held.attributes(slots)):
            values.setdefault(name, set()).add(value)
        for name, value in sorted(filters.attributes.items()):
            if name not in values:
                found.append(Hint(f"attributes.{name}", name, close_names(name, values)))
            elif value not in values[name]:
                near = close_names(value, values[name])
                found.append(Hint(f"attributes.{name}", value, near))
    return tuple(found[:MAX_HINTS])


def _unknown(field: str, wanted: Iterable[str], known: Iterable[str]) -> list[Hint]:
    names = set(known)
    missing = [(n, value) for n, value in enumerate(wanted) if value not in names][:MAX_HINTS]
    return [Hint(f"{field}[{n}]", value, close_names(value, names)) for n, value in missing]


def close_names(value: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names spelled most like a value, case ignored.

    The last step of a path is compared as well: `dresses` is close to `Women/Dresses`.
    """
    names_by_form: dict[str, list[str]] = {}
    for name in sorted(known):
        whole = name.casefold()
        for form in {whole, whole.rpartition(SEPARATOR)[2]}:
            names_by_form.setdefault(form, []).append(name)
    wanted = value.casefold()
    last = wanted.rpartition(SEPARATOR)[2]
    near = get_close_matches(wanted, names_by_form, CLOSE, ALIKE)
    if last != wanted:
        near += get_close_matches(last, names_by_form, CLOSE, ALIKE)
    names = dict.fromkeys(name for form in near for name in names_by_form[form])
    return tuple(names)[:CLOSE]
