"""The watermark of the index: the event time up to which it is complete."""


class Watermark:
    """The event time up to which every partition is applied, in seconds since the epoch.

    A partition whose end was met is applied up to that moment; else up to its last record.
    """

    def __init__(self, partitions: int) -> None:
        self._times: list[float | None] = [None] * partitions
        self._at_end = [False] * partitions

    def advance(self, partition: int, timestamp_s: float) -> None:
        """Note a record's time."""
        self._times[partition] = max(timestamp_s, self._times[partition] or 0.0)
        self._at_end[partition] = False

    def mark_end(self, partition: int) -> None:
        """Note that nothing was left to read."""
        self._at_end[partition] = True

    def tick(self, now_s: float) -> None:
        """Advance the partitions that have nothing left to read."""
        for partition, at_end in enumerate(self._at_end):
            if at_end:
                self._times[partition] = now_s

    @property
    def time_s(self) -> float | None:
        """The watermark; None until every partition has been read."""
        times = [time for time in self._times if time is not None]
        return min(times) if len(times) == len(self._times) else None
