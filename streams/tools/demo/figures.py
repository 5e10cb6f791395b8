"""The figures of a demonstration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from streams.tools.demo.searching import Precision


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds of n measurements."""

    p50: float
    p99: float
    n: int


class PercentilesByKind(msgspec.Struct, frozen=True):
    """Percentiles of everything, and by kind."""

    p50: float
    p99: float
    n: int
    by_kind: dict[str, Percentiles]


class Recovery(msgspec.Struct, frozen=True):
    """After kill -9 of the only worker: seconds to the first search answer, and fsck's report."""

    first_answer_s: float
    fsck: dict[str, Any]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of `demo --once --json`.

    `freshness_ms`: from publishing an event to the search answer that shows it. `search_ms`: from
    sending a request, its image shrunk already, to its answer. `phone_photo_to_40_ms`: the
    slowest of five, from the file on. Precisions are averages over the questions: right kind among
    the first min(10, n) hits, n products of the kind being held; right color among the first
    min(10, m), m products of that kind in that color being held (11 of a catalog of 640); null
    where the catalog's truth is not known. `photo`: a photo alone; `both`: a photo and "in
    <another color>". `chaos`: null unless the worker was killed; `load_s` then includes its
    downtime.
    """

    products: int
    vectors: int
    rejected: int
    load_s: float
    freshness_ms: PercentilesByKind
    search_ms: PercentilesByKind
    phone_photo_to_40_ms: float | None
    top10_kind_precision: float | None
    top10_color_precision: float | None
    top10_kind_and_color_precision: float | None
    photo_kind_precision: float | None
    photo_color_precision: float | None
    both_kind_precision: float | None
    both_color_precision: float | None
    dead_letters: int
    broker: str
    encoder: str
    page: str
    total_s: float
    chaos: Recovery | None = None


def percentiles(values: Sequence[float]) -> Percentiles:
    """Return the percentiles of some measurements; of few, p99 is next to the slowest."""
    if not values:
        return Percentiles(0.0, 0.0, 0)
    p50, p99 = np.percentile(values, [50, 99])
    return Percentiles(round(float(p50), 1), round(float(p99), 1), len(values))


def percentiles_by_kind(measured: Iterable[tuple[str, float]]) -> PercentilesByKind:
    """Return the percentiles of (kind, milliseconds) pairs."""
    by_kind: dict[str, list[float]] = {}
    for kind, value in measured:
        by_kind.setdefault(kind, []).append(value)
    everything = percentiles([value for values in by_kind.values() for value in values])
    return PercentilesByKind(
        everything.p50,
        everything.p99,
        everything.n,
        {kind: percentiles(values) for kind, values in by_kind.items()},
    )


def flat(figures: Figures) -> dict[str, Any]:
    """Return JSON values, with the percentiles by kind next to the overall ones."""
    values: dict[str, Any] = msgspec.to_builtins(figures)
    for name in ("freshness_ms", "search_ms"):
        values[name] |= values[name].pop("by_kind")
    return values


def precisions(found: Mapping[str, Precision | None]) -> dict[str, float | None]:
    """Return the precision fields from what was found by kind of question."""
    found = {kind: of_kind for kind, of_kind in found.items() if of_kind is not None}
    fields = (
        ("top10_kind_precision", "words", "kind"),
        ("top10_color_precision", "words", "color"),
        ("top10_kind_and_color_precision", "words", "kind_and_color"),
        ("photo_kind_precision", "photo", "kind"),
        ("photo_color_precision", "photo", "color"),
        ("both_kind_precision", "both", "kind"),
        ("both_color_precision", "both", "color"),
    )
    return {
        name: round(getattr(found[kind], share), 3) if kind in found else None
        for name, kind, share in fields
    }
