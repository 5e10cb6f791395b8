"""Options of Kafka consumers, with limits on what hostile bytes can make them hold."""

MIB = 1024 * 1024
RECEIVE_BYTES = 64 * MIB
FETCH_BYTES = 24 * MIB
PARTITION_FETCH_BYTES = 12 * MIB


def consumer_limits() -> dict[str, str | int]:
    """Return the limits that each of our consumers has.

    librdkafka unpacks a zstd batch into a buffer that grows threefold, and not beyond
    `receive.message.max.bytes`: 21 MiB are always read, 64 never. A larger batch is an error, which
    `visualsearch.client.unreadable` steps over. It unpacks the other codecs whole, whatever comes
    out: `max.message.bytes` of the topic bounds those (docs/adr/0015).
    """
    return {
        "receive.message.max.bytes": RECEIVE_BYTES,
        "fetch.max.bytes": FETCH_BYTES,
        "fetch.message.max.bytes": PARTITION_FETCH_BYTES,
    }


def by_assignment(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return the options of a consumer; `name` says whose: librdkafka wants a group even so."""
    return options | consumer_limits() | {
        "group.id": f"visualsearch-{name}-unused",
        "enable.auto.commit": False,
    }  # fmt: skip
