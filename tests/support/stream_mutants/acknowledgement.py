"""Bugs to plant in acknowledgement in order and in the commits of a consumer group."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from streams.kafka.batches import Batches
from streams.kafka.consumer_group import Acknowledge, GroupConsumer
from streams.kafka.in_order import OrderedAcks
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_three_times
from streams.kafka.window import Window
from tests.support.stream_mutants.planting import Mutants

MUTANTS = Mutants()
Partition = tuple[str, int]
Done = Callable[[], None]


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.add", "in_order")
def acknowledges_whatever_is_finished(_: Any) -> Any:
    """Call `done` without a look at what arrived before."""

    def add(_: OrderedAcks, __: Partition, done: Done) -> Acknowledge:
        return done

    return add


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.add", "in_order")
def mixes_partitions(real: Any) -> Any:
    """Keep one queue for all partitions of a topic."""

    def add(self: OrderedAcks, partition: Partition, done: Done) -> Acknowledge:
        found: Acknowledge = real(self, (partition[0], 0), done)
        return found

    return add


def _add(release: Callable[[deque[list[Any]]], None]) -> Any:
    """Return an `add` that releases a queue in its own way."""

    def add(self: OrderedAcks, partition: Partition, done: Done) -> Acknowledge:
        queue = self._waiting.setdefault(partition, deque())
        entry: list[Any] = [False, done]
        queue.append(entry)

        def finished() -> None:
            entry[0] = True
            release(queue)

        return finished

    return add


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.add", "in_order")
def skips_an_unfinished_head(_: Any) -> Any:
    """Drop what is not finished in front of what is."""

    def release(queue: deque[list[Any]]) -> None:
        while any(finished for finished, _ in queue):
            finished, done = queue.popleft()
            if finished:
                done()

    return _add(release)


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.add", "in_order")
def releases_one_at_a_time(_: Any) -> Any:
    """Leave what is finished behind the head until the next completion."""

    def release(queue: deque[list[Any]]) -> None:
        if queue and queue[0][0]:
            queue.popleft()[1]()

    return _add(release)


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.add", "in_order")
def releases_the_head_twice(_: Any) -> Any:
    """Acknowledge before the item is taken off the queue, and again with the next."""

    def release(queue: deque[list[Any]]) -> None:
        while len(queue) > 1 and queue[0][0] and queue[1][0]:
            queue[0][1]()
            queue.popleft()
        if queue and queue[0][0]:
            queue[0][1]()

    return _add(release)


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.clear", "in_order")
def keeps_a_former_assignment(_: Any) -> Any:
    """Forget nothing: what was not finished holds up the partition's next assignment."""
    return lambda _: None


@MUTANTS.plant("streams.kafka.in_order.OrderedAcks.clear", "in_order")
def acknowledges_of_a_former_assignment(_: Any) -> Any:
    """Drop the queues, but leave their items to late completions."""
    return lambda in_order: in_order._waiting.clear()


@MUTANTS.plant("streams.kafka.window.Window._handle_one", "side_by_side")
def acknowledges_before_the_work(_: Any) -> Any:
    """Release an offset as soon as its message is started on."""

    async def one(self: Window, message: SourceMessage, finished: Acknowledge) -> None:
        finished()
        await retry_three_times(partial(self._handle, message), what=message.source)

    return one


@MUTANTS.plant("streams.kafka.window.Window._handle_one", "side_by_side")
def acknowledges_what_is_stopped(real: Any) -> Any:
    """Release an offset in a `finally`, which a cancelled task runs, too."""

    async def one(self: Window, message: SourceMessage, finished: Acknowledge) -> None:
        try:
            await real(self, message, lambda: None)
        finally:
            finished()

    return one


@MUTANTS.plant("streams.kafka.batches.Batches._work", "batches")
def acknowledges_a_batch_before_its_write(_: Any) -> Any:
    """Release the offsets of a batch before it is handled."""

    async def work(self: Batches) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            messages = [message for message, _ in batch]
            for _, finished in batch:
                finished()
            await self._handle_or_give_up(messages)

    return work


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._finish", "commits")
def commits_the_offset_of_the_message(_: Any) -> Any:
    """Go on from a message that is finished, not from the next one."""

    def finish(self: GroupConsumer, place: Partition, message: SourceMessage) -> None:
        self._done[place] = message.offset
        self._room.set()

    return finish


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._finish", "commits")
def commits_one_too_many(_: Any) -> Any:
    """Add one to what is the next offset already."""

    def finish(self: GroupConsumer, place: Partition, message: SourceMessage) -> None:
        self._done[place] = message.next_offset + 1
        self._room.set()

    return finish


def _enter(*, cancel: bool = True, forget: bool = True, clear: bool = True) -> Any:
    """Return an `_enter` that leaves out a step."""

    def enter(self: GroupConsumer, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            if cancel:
                self._sink.cancel()
            if forget:
                self._in_order.clear()
            if clear:
                self._done.clear()
            self._committed.clear()
            self._paused = False

    return enter


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._start_epoch", "commits")
def keeps_the_offsets_of_a_former_assignment(_: Any) -> Any:
    """Commit after a rebalance how far this member had come before it."""
    return _enter(clear=False)


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._start_epoch", "commits")
def keeps_the_order_of_a_former_assignment(_: Any) -> Any:
    """Have what was not finished before a rebalance hold up what is read after it."""
    return _enter(forget=False)


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._start_epoch", "commits")
def goes_on_with_the_work_of_a_former_assignment(_: Any) -> Any:
    """Leave messages in work that are read again."""
    return _enter(cancel=False)


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._poll_batch", "commits")
def takes_messages_of_a_former_assignment(real: Any) -> Any:
    """Give all messages of a read the assignment of its last one."""

    def read(self: GroupConsumer, consumer: Any) -> list[tuple[int, SourceMessage]]:
        return [(self._read_epoch, message) for _, message in real(self, consumer)]

    return read


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._commit", "commits")
def commits_in_a_later_assignment(real: Any) -> Any:
    """Commit what was done before a rebalance that the loop has not noticed yet."""

    def commit(self: GroupConsumer, consumer: Any, *, wait: bool = False) -> None:
        noticed, self._epoch = self._epoch, self._read_epoch
        try:
            real(self, consumer, wait=wait)
        finally:
            self._epoch = noticed

    return commit


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._commit", "commits")
def takes_a_commit_for_done_that_raises(real: Any) -> Any:
    """Note what is committed before it is."""

    def commit(self: GroupConsumer, consumer: Any, *, wait: bool = False) -> None:
        done = dict(self._done)
        real(self, consumer, wait=wait)
        self._committed = done

    return commit


@MUTANTS.plant("streams.kafka.consumer_group.GroupConsumer._on_commit", "commits")
def takes_a_commit_for_done_that_fails_later(_: Any) -> Any:
    """Count a commit's failure, and leave it at that."""

    def note(self: GroupConsumer, error: Any, offsets: Sequence[Any]) -> None:
        if error is not None and offsets:
            self._commit_failed(error.str())

    return note
