"""What the measurements share: the data, exact answers, and what takes long to build."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from streams.tools.bench.amounts import Amounts
from streams.tools.bench.clock import Durations, timed
from streams.tools.bench.clustered import IntArray
from streams.tools.bench.data import BoolArray, Dataset
from streams.tools.bench.ours import apply_batches, new_engine, products, wait_until_idle
from streams.tools.bench.rivals import MAKERS, Rival, missing_rivals
from streams.tools.bench.truth import nearest
from visualsearch.engine import Engine
from visualsearch.types import FloatArray

Cell = str | float | int | None
TableRow = dict[str, Cell]
K, K_FEW = 100, 10
TARGET = 0.98
SHARES = (0.5, 0.1, 0.04, 0.01, 0.001)
KEPT_ROWS = 300_000  # of a rival that stays in memory beside others
SEED = 11


@dataclass(frozen=True, slots=True)
class Measurement:
    """A table for people, and the figures that targets refer to."""

    rows: list[TableRow]
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """How long a build took."""

    took: Durations
    applied_s: float | None = None  # ours: in `apply`, after which rows are searchable
    adds: dict[int, float] = field(default_factory=dict)  # rows/s at the end, by threads


@dataclass(frozen=True, slots=True)
class FilterRows:
    """Rows that a filter matches; its name is their tag."""

    name: str
    mask: BoolArray


Report = Callable[[str], object]


@dataclass(eq=False)
class Bench:
    """Engines and rivals over one data set, built once and shared until they are changed."""

    data: Dataset
    amounts: Amounts
    report: Report = lambda _: None  # gets the current step
    threads: int = 2  # that rivals build with
    beside: tuple[str, ...] = ()  # the rivals, all that are installed unless given
    built: dict[str, BuildTimes] = field(default_factory=dict)
    _engines: dict[int, Engine] = field(default_factory=dict)
    _rivals: dict[str, Rival] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.data.vectors)

    @property
    def dim(self) -> int:
        """Return the number of dimensions."""
        return int(self.data.vectors.shape[1])

    @cached_property
    def filters(self) -> list[FilterRows]:
        """Return random filters, filters of related rows, and those of a file."""
        drawn = np.random.default_rng(SEED).random(self.size)
        made = [FilterRows(f"random {share:.1%}", drawn < share) for share in SHARES]
        made += [FilterRows(f"related {s:.1%}", self.data.related(s, SEED)) for s in SHARES]
        for name, rows in self.data.named.items():
            mask = np.zeros(self.size, dtype=np.bool_)
            mask[rows] = True
            made.append(FilterRows(name, mask))
        return [kept for kept in made if kept.mask.any()]

    @cached_property
    def truth(self) -> IntArray:
        """Return the exact answers of all queries."""
        self.report("exact answers")
        return nearest(self.data.vectors, self.data.queries, K)[0]

    def tags(self, row: int) -> tuple[str, ...]:
        """Return the filters that keep the row."""
        return tuple(kept.name for kept in self.filters if kept.mask[row])

    def test_queries(self) -> tuple[FloatArray, IntArray]:
        """Return the queries of the second half and their exact answers."""
        _, queries = self.data.halves()
        return queries, self.truth[-len(queries) :]

    def engine(self, rows: int | None = None) -> Engine:
        """Return a shared settled engine over the first rows; `consume_engine` may change one."""
        rows = rows or self.size
        if rows not in self._engines:
            self.report(f"building ours, {rows:,} rows")
            self._engines[rows], self.built[f"ours {rows}"] = self.build_engine(
                self.data.vectors[:rows]
            )
        return self._engines[rows]

    def build_engine(self, vectors: FloatArray) -> tuple[Engine, BuildTimes]:
        """Return a settled engine over these vectors, the caller's own."""
        engine = new_engine(self.dim)
        applied = 0.0

        def build() -> None:
            nonlocal applied
            applied = apply_batches(engine, products(vectors, tags=self.tags)).wall
            wait_until_idle(engine, self.data.halves()[0])

        return engine, BuildTimes(timed(build), applied)

    @contextmanager
    def consume_engine(self, rows: int | None = None) -> Iterator[Engine]:
        """Yield an engine that may be changed; it is closed afterwards."""
        engine = self.engine(rows)
        del self._engines[rows or self.size]
        try:
            yield engine
        finally:
            engine.close()

    def rivals(self) -> list[str]:
        """Return the names of the installed rivals, or of the chosen ones among them."""
        absent = missing_rivals()
        return [name for name in self.beside or MAKERS if name not in absent]

    def rival(self, name: str) -> Rival:
        """Return a rival over all rows."""
        if name not in self._rivals:
            if self.size > KEPT_ROWS:
                self._rivals.clear()
            self.report(f"building {name}")
            rival = MAKERS[name][1](self.dim, self.size)
            last = max(1, self.size // 100)  # added apart, to see the rate of a full graph
            parts = np.split(self.data.vectors, [self.size - 2 * last, self.size - last])
            counts = (self.threads, 1, self.threads)
            took = [
                timed(lambda part=part, count=count: rival.add(part, count))  # type: ignore[misc]
                for part, count in zip(parts, counts, strict=True)
            ]
            whole = Durations(sum(one.wall for one in took), sum(one.cpu for one in took))
            adds = {1: last / took[1].wall, self.threads: last / took[2].wall}
            self._rivals[name], self.built[name] = rival, BuildTimes(whole, adds=adds)
        return self._rivals[name]

    def close(self) -> None:
        """Close the engines and free everything that was built."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        self._rivals.clear()
