"""Wait until a worker has processed the topics up to some offsets; report what it has not."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from streams.tools.fsck.cluster import Bounds, Cluster
from streams.tools.fsck.report import Finding
from streams.tools.fsck.values import PartitionKey, format_position
from streams.tools.fsck.worker import WorkerClient

PIPELINES = ("attributes", "embedding")
PAUSE_S = 0.2


@dataclass(slots=True)
class Lateness:
    """Unprocessed messages: ranges of offsets, and findings for people."""

    ranges: dict[PartitionKey, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, who: str, ranges: Bounds) -> None:
        """Add the ranges that `who` has not processed."""
        for (topic, partition), (start, stop) in ranges.items():
            text = f"{who}: up to {stop - start} messages of {topic}[{partition}] not processed"
            self.findings.append(Finding(text, source=format_position((topic, partition, start))))
            known = self.ranges.get((topic, partition), (start, stop))
            self.ranges[topic, partition] = (min(start, known[0]), max(stop, known[1]))


def unprocessed_ranges(
    bounds: Bounds, reached: Mapping[PartitionKey, int]
) -> dict[PartitionKey, tuple[int, int]]:
    """Return the rest of each partition's range from the reached offset on, if any.

    Offsets alone count: there may be no message in a range.
    """
    starts = {part: max(reached.get(part, low), low) for part, (low, _) in bounds.items()}
    return {p: (starts[p], stop) for p, (_, stop) in bounds.items() if starts[p] < stop}


def wait_for_pipelines(
    cluster: Cluster, groups: Mapping[str, str], bounds: Bounds, give_up_at: float
) -> Lateness:
    """Wait until each pipeline's group has committed all of `bounds`; return what is late."""

    def ask() -> Lateness:
        late = Lateness()
        for pipeline, group in groups.items():
            ranges = unprocessed_ranges(bounds, cluster.committed(group, bounds))
            late.add(f"{pipeline} pipeline", cluster.with_messages(ranges))
        return late

    return _wait(ask, give_up_at)


def wait_for_retries(cluster: Cluster, group: str, topic: str, give_up_at: float) -> Lateness:
    """Wait until no retry is pending; return those that still are.

    A retry that fails is a new message: the end of the topic is read each time.
    """

    def ask() -> Lateness:
        bounds = cluster.bounds([topic])
        late = Lateness()
        ranges = unprocessed_ranges(bounds, cluster.committed(group, bounds))
        late.add("retries", cluster.with_messages(ranges))
        return late

    return _wait(ask, give_up_at)


def wait_for_index(cluster: Cluster, worker: WorkerClient, log: str, give_up_at: float) -> Lateness:
    """Wait until the worker has applied what the index log holds now; return what is late."""
    bounds = cluster.bounds([log])

    def ask() -> Lateness:
        positions = {(log, p): at for p, at in worker.index().positions.items()}
        late = Lateness()
        late.add("index", cluster.with_messages(unprocessed_ranges(bounds, positions)))
        return late

    return _wait(ask, give_up_at)


def _wait(ask: Callable[[], Lateness], give_up_at: float) -> Lateness:
    """Ask, at least once, until nothing is late or it is `give_up_at` by `time.monotonic`."""
    while (late := ask()).ranges and time.monotonic() < give_up_at:
        time.sleep(PAUSE_S)
    return late


def products_of(cluster: Cluster, ranges: Bounds, log: str) -> set[str]:
    """Return the products that the messages in these ranges are about, by their keys."""
    return set(_ids(cluster, ranges, log))


def _ids(cluster: Cluster, ranges: Bounds, log: str) -> Iterable[str]:
    for message in cluster.read(ranges):
        key = (message.key or b"").decode("utf-8", "replace")
        yield key.partition(":")[2] if message.topic == log else key
