"""Writers, searchers, auditors and the writer of graphs and lists together, for a time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.support.index_shop import Shop
from tests.support.index_tiny import STRESS, rising_clock
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.probe import Probed

Job = Callable[[threading.Event], None]
EXACT_ROWS = 20  # as few matches are scanned
RECALL_FLOOR = 0.96  # of answers that aim at 0.99, by curves of a few queries
LONGEST_WAIT = 120.0  # seconds, on a machine that is busy with something else


class Stress:
    """One engine under one shop; `run` raises the first thing that any thread saw go wrong."""

    def __init__(
        self,
        layout: Layout = STRESS,
        *,
        dim: int = 32,
        still: int = 150,
        moving: int = 40,
        audit_pause: float = 0.05,
    ) -> None:
        self.failures: list[BaseException] = []
        self.merges = 0
        self.audit_pause = audit_pause
        self.recalls: list[float] = []
        self.engine = Engine(
            "m",
            dim,
            tuning=Tuning(exact_rows=EXACT_ROWS, recall_target=0.99),
            # Graphs, until the curves are measured by a clock that has its own idea of costs.
            costs=Costs(row=1e6, entry=0.0, candidate=1e-6),
            clock=rising_clock(),
            layout=layout,
            hooks=Hooks(
                on_error=self.failures.append, on_swapped=self._merged, on_recall=self._recalled
            ),
        )
        self.shop = Shop(self.engine, still=still, moving=moving)

    def _merged(self) -> None:
        self.merges += 1

    def _recalled(self, probed: Probed) -> None:
        self.recalls.append(probed.recall)

    def run(self, seconds: float, *, readers: int = 3) -> None:
        """Run all jobs for so long, and on until enough has happened, or until one fails."""
        self.shop.open()
        self.engine.start()
        jobs: list[Job] = [self.shop.write, partial(self.shop.audit, pause=self.audit_pause)]
        jobs += [partial(self.shop.read, seed=2 + n) for n in range(readers)]
        with quick_switches():
            run_together(jobs, seconds, self.failures, self.enough)
        self.engine.close()
        if self.failures:
            raise self.failures[0]
        while self.engine.index_pending():
            pass
        self.check_recall()

    def enough(self) -> bool:
        """Return whether every way to answer was gone, and every kind of work done behind."""
        answers = self.shop.tally.answers
        return (
            min(answers[strategy] for strategy in ("graph", "ivfpq", "exact", "audits")) > 9
            and self.merges > 3
            and self.reused > 100
            and self.engine._index.built.curves.rows > 0
        )

    def check_recall(self) -> None:
        """Assert that answers had what they should, whatever the strategy."""
        tally = self.shop.tally
        for strategy in tally.wanted:
            assert tally.recall(strategy) >= RECALL_FLOOR, f"{strategy}: {self.told()}"

    @property
    def reused(self) -> int:
        """Return how many rows were, at least, stored in place of dead ones."""
        return max(0, self.shop.stored - self.engine._index.rows.count)

    def told(self) -> dict[str, object]:
        """Return what was done, to be printed."""
        tally, stats = self.shop.tally, self.engine.stats()
        return {
            "answers": dict(tally.answers),
            "recall": {name: round(tally.recall(name), 4) for name in tally.wanted},
            "changes": sum(self.shop.done),
            "merges": self.merges,
            "rows used again": self.reused,
            "rows": stats.rows,
            "segments": stats.segments,
            "pieces": stats.pieces,
            "probes": len(self.recalls),
            "probed recall": round(sum(self.recalls) / max(1, len(self.recalls)), 4),
        }


@contextmanager
def quick_switches() -> Iterator[None]:
    """Let threads take turns a hundred times as often as usual."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(former)


def run_together(
    jobs: list[Job], seconds: float, failures: list[BaseException], enough: Callable[[], bool]
) -> None:
    """Run the jobs in threads for the time and until enough has happened; collect failures."""
    stop = threading.Event()

    def guarded(job: Job) -> None:
        try:
            job(stop)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    begin = time.monotonic()
    while not (enough() or failures or time.monotonic() - begin > LONGEST_WAIT):
        stop.wait(0.05)
    stop.set()
    for thread in threads:
        thread.join()
