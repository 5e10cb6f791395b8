"""Targets of the figures, and verdicts on them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

SMALL, MIDDLE, LARGE = 50_000, 200_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """A target of a figure; `figure` may be a pattern: every match must meet it."""

    measurement: str
    figure: str
    sign: str
    value: float
    rows: int | None = None  # the size that it holds for; None: any from 50,000 rows on

    def applies(self, rows: int) -> bool:
        """Return whether the target holds for an index of so many rows."""
        return rows == self.rows or (self.rows is None and rows >= SMALL)

    def margin(self, value: float) -> float:
        """Return by how much a value meets the target; below 0 it misses."""
        if math.isnan(value):
            return -math.inf
        if self.sign == "=":
            return -abs(value - self.value)
        return value - self.value if self.sign == "≥" else self.value - value


TARGETS = (
    Target("search", "ratio wall hnswlib-m16 k100@0.98", "≥", 0.8, MIDDLE),
    Target("search", "ratio wall hnswlib-m32 k100@0.98", "≥", 1.0, LARGE),
    Target("search", "recall k100@0.98", "≥", 0.98),
    Target("insert", "visible", "=", 1.0),
    Target("insert", "burst/s", "≥", 20_000),
    Target("insert", "burst p99", "≤", 25.0),
    Target("insert", "burst recall", "≥", 0.98),
    Target("insert", "sustained/s", "≥", 690, MIDDLE),
    Target("insert", "sustained fresh growth", "≤", 2_000, MIDDLE),
    Target("insert", "flat out p99 to idle", "≤", 3.0),
    Target("insert", "flat out recall", "≥", 0.98),
    Target("filters", "recall *", "≥", 0.98),
    Target("filters", "hits *", "=", 1.0),
    Target("filters", "p50 *", "≤", 3.0, MIDDLE),
    Target("filters", "p99 *", "≤", 15.0, MIDDLE),
    Target("updates", "offers/s", "≥", 50_000),
    Target("updates", "attributes/s", "≥", 50_000),
    Target("updates", "deletes/s", "≥", 100_000),
    Target("updates", "p99 at a pace to idle", "≤", 1.2),
    Target("updates", "dead ones found", "=", 0),
    Target("churn", "recall lost 3x", "≤", 0.01),
    Target("churn", "time ratio 3x", "≤", 1.2),
    Target("churn", "memory ratio 3x", "≤", 1.3),
    Target("churn", "compacted s", "≤", 60.0),
    Target("churn", "dead after compaction", "≤", 0.2),  # of the quarter that was deleted
    Target("churn", "compacting recall", "≥", 0.98),
    Target("memory", "steady", "≤", 4_000, LARGE),
    Target("memory", "peak of a merge", "≤", 5_000, LARGE),
    Target("growth", "recall 1000000", "≥", 0.98, LARGE),
    Target("growth", "p99 1000000", "≤", 12.0, LARGE),
    Target("growth", "cost to 200k", "≤", 3.0, LARGE),
    Target("recovery", "first answer s", "≤", 5.0),
    Target("recovery", "recall@10 before the swap", "≥", 0.99),
    Target("recovery", "recall@100 before the swap", "≥", 0.95),
    Target("recovery", "ivfpq bytes per vector", "≤", 96.0),
    Target("recovery", "p99 while snapshotting to idle", "≤", 2.0),
)


@dataclass(frozen=True, slots=True)
class TargetVerdict:
    """A figure and its target; `met` is None if the target is for another size."""

    measurement: str
    figure: str  # the worst of those that a pattern matches
    of: int  # matches
    value: float | None  # None: its measurement ran without this figure
    bar: str
    met: bool | None


def verdicts(
    figures: Mapping[str, Mapping[str, float]], rows: int, targets: Iterable[Target] = TARGETS
) -> list[TargetVerdict]:
    """Return the verdict on every target whose measurement ran.

    `figures` are by measurement and name. A missing figure, or NaN, misses its target.
    """
    found: list[TargetVerdict] = []
    for target in targets:
        held = {
            name: value
            for name, value in figures.get(target.measurement, {}).items()
            if fnmatchcase(name, target.figure)
        }
        if target.measurement not in figures or (not held and not target.applies(rows)):
            continue
        name = min(held, key=lambda name: target.margin(held[name]), default=target.figure)
        value = held.get(name)
        met = None
        if target.applies(rows):
            met = value is not None and target.margin(value) >= 0
        size = f" at {target.rows:,} rows" if target.rows and not target.applies(rows) else ""
        text = f"{target.sign} {target.value:,g}{size}"
        found.append(TargetVerdict(target.measurement, name, len(held), value, text, met))
    return found
