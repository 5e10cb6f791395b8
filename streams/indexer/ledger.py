"""Tracks the dirty keys of the index log: keys whose last record is not the newest. Pure.

Compaction keeps the last record of a key. If that record is stale, a replay gives an older state
than the live index, and the key has to be healed.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from visualsearch.contracts.records import Order

LOST_PAUSE_S = 3600.0  # a newest record that the log no longer has will hardly come back


@dataclass(frozen=True, slots=True)
class DirtyEntry:
    """A key whose last record is not its newest one."""

    partition: int
    order: Order  # of the newest record
    due_s: float  # when to heal it, by the ledger's clock


class Ledger:
    """The dirty keys of a log, noted by its reader and healed by another thread.

    A key gets `grace_s` to become clean: after a rebalance a pipeline writes older records again,
    and the newest follow soon. It is due once its partition was read to the end after that time,
    so a lagging reader heals nothing that later records have corrected.
    """

    def __init__(self, grace_s: float, now: Callable[[], float]) -> None:
        self._grace_s = grace_s
        self._now = now
        self._lock = threading.Lock()
        self._dirty: dict[bytes, DirtyEntry] = {}
        self._ends: dict[int, float] = {}

    def __len__(self) -> int:
        """Return how many keys are dirty."""
        return len(self._dirty)

    def dirty_keys(self) -> dict[bytes, DirtyEntry]:
        """Return the dirty keys of this moment."""
        with self._lock:
            return dict(self._dirty)

    def restore(self, dirty: Iterable[tuple[bytes, int, Order]]) -> None:
        """Note (key, partition, newest order) of the keys that were dirty at a snapshot.

        Their grace time starts again, since later records may have corrected them.
        """
        for key, partition, newest in dirty:
            self.mark_stale(key, partition, newest)

    def mark_stale(self, key: bytes, partition: int, newest: Order) -> None:
        """Note that the key's last record is older than `newest`, which was read before it.

        Further stale records do not postpone the healing.
        """
        with self._lock:
            known = self._dirty.get(key)
            due_s = self._now() + self._grace_s if known is None else known.due_s
            self._dirty[key] = DirtyEntry(partition, newest, due_s)

    def mark_current(self, key: bytes, order: Order) -> None:
        """Note that the key's last record is its newest: it is clean again."""
        if key in self._dirty:  # nearly never: a replay of millions must not pay for a lock
            with self._lock:
                if order >= self._dirty[key].order:
                    del self._dirty[key]

    def mark_end(self, partition: int) -> None:
        """Note that the partition was read to its end at this moment."""
        self._ends[partition] = self._now()

    def due_keys(self) -> dict[bytes, DirtyEntry]:
        """Return the keys to heal now."""
        with self._lock:
            never = float("-inf")
            return {
                key: dirty
                for key, dirty in self._dirty.items()
                if self._ends.get(dirty.partition, never) >= dirty.due_s
            }

    def claim(self, key: bytes, order: Order) -> bool:
        """Return whether the record of this order is still to be appended.

        False if a newer record was read meanwhile. A claimed key is due again after another grace
        time, in case the append fails.
        """
        return self._postpone(key, order, self._grace_s)

    def mark_lost(self, key: bytes, order: Order) -> bool:
        """Return whether a key, whose newest record the log does not have, is still dirty.

        It stays dirty, so the metric shows it, and is searched for again in an hour.
        """
        return self._postpone(key, order, LOST_PAUSE_S)

    def _postpone(self, key: bytes, order: Order, by_s: float) -> bool:
        with self._lock:
            known = self._dirty.get(key)
            if known is None or known.order != order:
                return False
            self._dirty[key] = DirtyEntry(known.partition, order, self._now() + by_s)
            return True
