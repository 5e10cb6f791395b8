"""Bugs to plant in the ledger of dirty keys, the healer and what the reader tells them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streams.indexer.healer import LogHealer, LogRecord, NewestRecordCollector
from streams.indexer.ledger import DirtyEntry, Ledger
from streams.indexer.reader import LogReader
from tests.support.stream_mutants.planting import Mutants
from visualsearch.client.messages import Headers
from visualsearch.contracts.records import Order, decode_record
from visualsearch.types import Applied, Outcome, Record

MUTANTS = Mutants()


# Found by the rules of the ledger


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_stale", "ledger")
def starts_the_grace_anew(_: Any) -> Any:
    """Let older records that go on coming put the healing off."""

    def stale(self: Ledger, key: bytes, partition: int, newest: Order) -> None:
        with self._lock:
            self._dirty[key] = DirtyEntry(partition, newest, self._now() + self._grace_s)

    return stale


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_stale", "ledger")
def keeps_the_order_noted_first(_: Any) -> Any:
    """Leave a key that is dirty already as it is."""

    def stale(self: Ledger, key: bytes, partition: int, newest: Order) -> None:
        with self._lock:
            self._dirty.setdefault(key, DirtyEntry(partition, newest, self._now() + self._grace_s))

    return stale


@MUTANTS.plant("streams.indexer.ledger.Ledger.due_keys", "ledger")
def waits_for_no_grace(_: Any) -> Any:
    """Heal whatever is dirty in a partition that was read to its end."""

    def due(self: Ledger) -> dict[bytes, DirtyEntry]:
        return {
            key: dirty for key, dirty in self.dirty_keys().items() if dirty.partition in self._ends
        }

    return due


@MUTANTS.plant("streams.indexer.ledger.Ledger.due_keys", "ledger")
def waits_for_no_end(_: Any) -> Any:
    """Heal after the grace, however far the reader lags."""

    def due(self: Ledger) -> dict[bytes, DirtyEntry]:
        now_s = self._now()
        return {key: dirty for key, dirty in self.dirty_keys().items() if now_s >= dirty.due_s}

    return due


@MUTANTS.plant("streams.indexer.ledger.Ledger.due_keys", "ledger")
def takes_the_end_of_any_partition(_: Any) -> Any:
    """Compare a key's time with the last end of all."""

    def due(self: Ledger) -> dict[bytes, DirtyEntry]:
        last = max(self._ends.values(), default=float("-inf"))
        return {key: dirty for key, dirty in self.dirty_keys().items() if last >= dirty.due_s}

    return due


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_current", "ledger")
def cleans_by_an_older_record(_: Any) -> Any:
    """Take any record that is applied for as new as the newest."""
    return lambda ledger, key, _: ledger._dirty.pop(key, None)


@MUTANTS.plant("streams.indexer.ledger.Ledger.restore", "ledger")
def restores_without_a_grace(_: Any) -> Any:
    """Make the keys of a snapshot due at once: their grace was over before."""

    def restore(self: Ledger, dirty: Iterable[tuple[bytes, int, Order]]) -> None:
        for key, partition, newest in dirty:
            self._dirty[key] = DirtyEntry(partition, newest, self._now())

    return restore


@MUTANTS.plant("streams.indexer.ledger.Ledger.claim", "ledger")
def claims_whatever_its_order(_: Any) -> Any:
    """Append although another order is the newest by now."""

    def claim(self: Ledger, key: bytes, _: Order) -> bool:
        known = self._dirty.get(key)
        return known is not None and self._postpone(key, known.order, self._grace_s)

    return claim


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_lost", "ledger")
def looks_for_a_lost_record_as_often_as_for_others(_: Any) -> Any:
    """Read a whole partition once per grace for what it does not have."""
    return lambda ledger, key, order: ledger.claim(key, order)


@MUTANTS.plant("streams.indexer.ledger.Ledger.claim", "ledger")
def forgets_a_key_before_its_heal_is_acknowledged(_: Any) -> Any:
    """Take a claim for a heal."""

    def claim(self: Ledger, key: bytes, order: Order) -> bool:
        known = self._dirty.get(key)
        if known is None or known.order != order:
            return False
        del self._dirty[key]
        return True

    return claim


@MUTANTS.plant("streams.indexer.ledger.Ledger.claim", "ledger")
def heals_what_became_clean_meanwhile(real: Any) -> Any:
    """Append what the search found, whatever was read since."""

    def claim(self: Ledger, key: bytes, order: Order) -> bool:
        real(self, key, order)
        return True

    return claim


# Found by random histories


def _by_product(key: bytes) -> bytes:
    return b"base:" + key.partition(b":")[2]


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_stale", "log_healing")
def confuses_the_kinds_of_a_product(real: Any) -> Any:
    """Note a product's base key as dirty, whichever of its keys is."""

    def stale(self: Ledger, key: bytes, partition: int, newest: Order) -> None:
        real(self, _by_product(key), partition, newest)

    return stale


@MUTANTS.plant("streams.indexer.ledger.Ledger.mark_current", "log_healing")
def is_cleaned_by_a_newer_record_only(_: Any) -> Any:
    """Leave a key dirty whose newest record was appended again."""

    def current(self: Ledger, key: bytes, order: Order) -> None:
        if key in self._dirty and order > self._dirty[key].order:
            del self._dirty[key]

    return current


@MUTANTS.plant("streams.indexer.healer.NewestRecordCollector.observe", "search")
def finds_the_last_record(_: Any) -> Any:
    """Take a key's last record for its newest."""

    def see(
        self: NewestRecordCollector, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        if key is not None and value is not None and key in self._least:
            self.found[key] = LogRecord(key, value, headers)

    return see


@MUTANTS.plant("streams.indexer.healer.NewestRecordCollector.observe", "search")
def finds_the_first_of_equal_orders(_: Any) -> Any:
    """Append the first write of an event, where the index holds the second."""

    def see(
        self: NewestRecordCollector, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        if key is None or value is None or key not in self._least:
            return
        order = decode_record(key, value)[1].order
        if order > self._least[key] or (order == self._least[key] and key not in self.found):
            self._least[key] = order
            self.found[key] = LogRecord(key, value, headers)

    return see


@MUTANTS.plant("streams.indexer.healer.LogHealer.heal", "replaying_worker")
def heals_during_a_replay(real: Any) -> Any:
    """Append before every end was met."""

    def heal(self: LogHealer) -> int:
        self._ready = lambda: True
        count: int = real(self)
        return count

    return heal


@MUTANTS.plant("streams.indexer.healer.LogHealer._heal_partition", "log_healing")
def heals_the_first_key_of_a_partition(real: Any) -> Any:
    """Stop after one key, and put the others off."""

    def heal(self: LogHealer, partition: int, due: Mapping[bytes, DirtyEntry]) -> int:
        for key, dirty in list(due.items())[1:]:
            self._ledger.mark_lost(key, dirty.order)
        count: int = real(self, partition, dict(list(due.items())[:1]))
        return count

    return heal


@MUTANTS.plant("streams.indexer.healer._healing_message", "log_healing")
def appends_without_the_header(real: Any) -> Any:
    """Let a heal look like an event of its own."""

    def again(record: LogRecord, topic: str, partition: int) -> Any:
        return replace(real(record, topic, partition), headers=record.headers)

    return again


def _note(*, stale: bool = True, current: bool = True, kind: str | None = None) -> Any:
    """Return a `_note_orders` that keeps something from the ledger, or takes a wrong kind."""
    kinds = {"BaseRecord": "base", "OfferRecord": "offer", "VectorsRecord": "vectors"}

    def note(
        self: LogReader, records: Sequence[Record], sources: Sequence[Any],
        applied: Sequence[Applied],
    ) -> None:  # fmt: skip
        for record, message, result in zip(records, sources, applied, strict=True):
            if result.outcome is not Outcome.STALE:
                if current:
                    self._ledger.mark_current(message.key(), record.order)
                continue
            product = self._index.product(record.product_id)
            newest = product.orders[kind or kinds[type(record).__name__]] if product else None
            if stale and newest is not None:
                self._ledger.mark_stale(message.key(), message.partition(), newest)

    return note


@MUTANTS.plant("streams.indexer.reader.LogReader._note_orders", "log_healing")
def notes_no_stale_record(_: Any) -> Any:
    """Read on after an older record."""
    return _note(stale=False)


@MUTANTS.plant("streams.indexer.reader.LogReader._note_orders", "log_healing")
def notes_no_newer_record(_: Any) -> Any:
    """Leave a key dirty whatever comes after."""
    return _note(current=False)


@MUTANTS.plant("streams.indexer.reader.LogReader._note_orders", "log_healing")
def takes_the_order_of_another_kind(_: Any) -> Any:
    """Compare every record with the product's base."""
    return _note(kind="base")


# Found by workers that begin from a snapshot


@MUTANTS.plant("streams.indexer.ledger.Ledger.restore", "successor")
def ignores_the_dirty_keys_of_a_snapshot(_: Any) -> Any:
    """Begin with a clean ledger."""
    return lambda *_: None
