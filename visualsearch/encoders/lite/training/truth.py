"""Which captions hold for which images: true, false, or not known (training only)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.lite.training.captions import (
    COARSE,
    COLORS,
    KIN,
    KINDS,
    PATTERNS,
    WIDER,
    Caption,
)
from visualsearch.encoders.lite.training.photos import Labels

Table = npt.NDArray[np.int8]
Codes = npt.NDArray[np.intp]
TRUE, FALSE, UNKNOWN = 1, 0, -1

_KINDS, _COLORS, _PATTERNS = list(KINDS), list(COLORS), list(PATTERNS)


def _kind(said: str, shown: str) -> int:
    if said in {shown, WIDER.get(shown)}:
        return TRUE
    return UNKNOWN if (shown, said) in KIN else FALSE


def _color(said: str, shown: str | None, *, coarse: bool) -> int:
    if shown is None:
        return UNKNOWN
    if coarse and said in COARSE.get(shown, set()):
        return UNKNOWN
    return TRUE if said == shown else FALSE


def _pattern(said: str, shown: str | None) -> int:
    return UNKNOWN if shown is None else TRUE if said == shown else FALSE


# Rows: stated values, the last for nothing stated; columns: labels, the last for unknown.
KIND_TABLE: Table = np.array(
    [[_kind(said, shown) for shown in _KINDS] for said in _KINDS] + [[TRUE] * len(_KINDS)], np.int8
)
_COLOR_TABLES: Table = np.array(
    [[[_color(said, shown, coarse=coarse) for shown in [*_COLORS, None]] for said in _COLORS]
     + [[TRUE] * (len(_COLORS) + 1)] for coarse in (False, True)], np.int8,
)  # fmt: skip
_PATTERN_TABLE: Table = np.array(
    [[_pattern(said, shown) for shown in [*_PATTERNS, None]] for said in _PATTERNS]
    + [[TRUE] * (len(_PATTERNS) + 1)], np.int8,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Labels of images, or claims of captions, as numbers; unknown or unsaid is the last."""

    kinds: Codes
    colors: Codes
    patterns: Codes
    products: npt.NDArray[np.str_]
    coarse: Codes  # 1 where colors are a real shop's own, coarser names

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> "Coded":
        return Coded(self.kinds[rows], self.colors[rows], self.patterns[rows],
                     self.products[rows], self.coarse[rows])  # fmt: skip


def coded(rows: Sequence[Labels] | Sequence[Caption]) -> Coded:
    """Encode labels or captions as numbers."""
    return Coded(
        kinds=_places(_KINDS, [row.kind for row in rows]),
        colors=_places(_COLORS, [row.color for row in rows]),
        patterns=_places(_PATTERNS, [row.pattern for row in rows]),
        products=np.array([row.product or "" for row in rows]),
        coarse=np.array([isinstance(row, Labels) and row.title is not None for row in rows], int),
    )


def _places(names: list[str], values: list[str | None]) -> Codes:
    return np.array([len(names) if value is None else names.index(value) for value in values])


def verdicts(said: Coded, shown: Coded) -> Table:
    """Return a (captions, images) table of TRUE, FALSE and UNKNOWN.

    A caption is false if any of its claims is, and true if all are.
    """
    same = said.products[:, None] == shown.products
    product = np.where((said.products == "")[:, None] | same, TRUE, UNKNOWN)
    claims = np.stack([
        KIND_TABLE[said.kinds][:, shown.kinds],
        _COLOR_TABLES[:, said.colors][shown.coarse, :, shown.colors].T,
        _PATTERN_TABLE[said.patterns][:, shown.patterns],
        product,
    ])  # fmt: skip
    false, unknown = (claims == FALSE).any(axis=0), (claims == UNKNOWN).any(axis=0)
    return np.where(false, FALSE, np.where(unknown, UNKNOWN, TRUE)).astype(np.int8)
