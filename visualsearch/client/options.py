"""Options of Kafka consumers, with limits on the memory that hostile batches can take."""

MIB = 1024 * 1024
RECEIVE_BYTES = 64 * MIB
FETCH_BYTES = 24 * MIB
PARTITION_FETCH_BYTES = 12 * MIB


def consumer_limits() -> dict[str, str | int]:
    """Return the memory limits of every consumer.

    librdkafka decompresses a zstd batch into a buffer that grows threefold, up to
    `receive.message.max.bytes`. It always reads 21 MiB and never 64. A larger batch is an error,
    and `visualsearch.client.unreadable` skips it. Other codecs have no limit on their output: the
    topic's `max.message.bytes` bounds them (docs/adr/0015).
    """
    return {
        "receive.message.max.bytes": RECEIVE_BYTES,
        "fetch.max.bytes": FETCH_BYTES,
        "fetch.message.max.bytes": PARTITION_FETCH_BYTES,
    }


def by_assignment(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return the options of a consumer without group membership; librdkafka needs an id anyway."""
    return options | consumer_limits() | {
        "group.id": f"visualsearch-{name}-unused",
        "enable.auto.commit": False,
    }  # fmt: skip
