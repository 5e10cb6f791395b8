"""What the figures must reach, and whether they do."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

SMALL, MIDDLE, LARGE = 50_000, 200_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise about a figure; `figure` may be a pattern, all that match are held to it."""

    measurement: str
    figure: str
    sign: str
    value: float
    rows: int | None = None  # promised at this size; None: at any from 50,000 rows on

    def applies(self, rows: int) -> bool:
        """Return whether the promise is about an index of so many rows."""
        return rows == self.rows or (self.rows is None and rows >= SMALL)

    def margin(self, value: float) -> float:
        """Return how far a value is on the right side; below 0 it is on the wrong one."""
        if math.isnan(value):
            return -math.inf
        if self.sign == "=":
            return -abs(value - self.value)
        return value - self.value if self.sign == "≥" else self.value - value


BARS = (
    Bar("search", "ratio wall hnswlib-m16 k100@0.98", "≥", 0.8, MIDDLE),
    Bar("search", "ratio wall hnswlib-m32 k100@0.98", "≥", 1.0, LARGE),
    Bar("search", "recall k100@0.98", "≥", 0.98),
    Bar("insert", "visible", "=", 1.0),
    Bar("insert", "burst/s", "≥", 20_000),
    Bar("insert", "burst p99", "≤", 25.0),
    Bar("insert", "burst recall", "≥", 0.98),
    Bar("insert", "sustained/s", "≥", 690, MIDDLE),
    Bar("insert", "sustained fresh growth", "≤", 2_000, MIDDLE),
    Bar("insert", "flat out p99 to idle", "≤", 3.0),
    Bar("insert", "flat out recall", "≥", 0.98),
    Bar("filters", "recall *", "≥", 0.98),
    Bar("filters", "hits *", "=", 1.0),
    Bar("filters", "p50 *", "≤", 3.0, MIDDLE),
    Bar("filters", "p99 *", "≤", 15.0, MIDDLE),
    Bar("updates", "offers/s", "≥", 50_000),
    Bar("updates", "attributes/s", "≥", 50_000),
    Bar("updates", "deletes/s", "≥", 100_000),
    Bar("updates", "p99 at a pace to idle", "≤", 1.2),
    Bar("updates", "dead ones found", "=", 0),
    Bar("churn", "recall lost 3x", "≤", 0.01),
    Bar("churn", "time ratio 3x", "≤", 1.2),
    Bar("churn", "memory ratio 3x", "≤", 1.3),
    Bar("churn", "compacted s", "≤", 60.0),
    Bar("churn", "dead after compaction", "≤", 0.2),  # of the quarter that was deleted
    Bar("churn", "compacting recall", "≥", 0.98),
    Bar("memory", "steady", "≤", 4_000, LARGE),
    Bar("memory", "peak of a merge", "≤", 5_000, LARGE),
    Bar("growth", "recall 1000000", "≥", 0.98, LARGE),
    Bar("growth", "p99 1000000", "≤", 12.0, LARGE),
    Bar("growth", "cost to 200k", "≤", 3.0, LARGE),
    Bar("recovery", "first answer s", "≤", 5.0),
    Bar("recovery", "recall@10 before the swap", "≥", 0.99),
    Bar("recovery", "recall@100 before the swap", "≥", 0.95),
    Bar("recovery", "ivfpq bytes per vector", "≤", 96.0),
    Bar("recovery", "p99 while snapshotting to idle", "≤", 2.0),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure beside its bar; `met` is None where nothing is promised at this size."""

    measurement: str
    figure: str  # of several that a pattern means, the worst
    of: int
    value: float | None  # None: its measurement ran and did not come to it
    bar: str
    met: bool | None


def verdicts(
    figures: Mapping[str, Mapping[str, float]], rows: int, bars: Iterable[Bar] = BARS
) -> list[Verdict]:
    """Return the verdict on every bar whose measurement ran.

    `figures` are by measurement and name. What is missing, or no number, misses its bar.
    """
    found: list[Verdict] = []
    for bar in bars:
        held = {
            name: value
            for name, value in figures.get(bar.measurement, {}).items()
            if fnmatchcase(name, bar.figure)
        }
        if bar.measurement not in figures or (not held and not bar.applies(rows)):
            continue
        name = min(held, key=lambda name: bar.margin(held[name]), default=bar.figure)
        value = held.get(name)
        met = None
        if bar.applies(rows):
            met = value is not None and bar.margin(value) >= 0
        size = f" at {bar.rows:,} rows" if bar.rows and not bar.applies(rows) else ""
        text = f"{bar.sign} {bar.value:,g}{size}"
        found.append(Verdict(bar.measurement, name, len(held), value, text, met))
    return found
