"""How much of a log a client takes at once, which bounds what hostile bytes can make of it."""

MIB = 1024 * 1024
RECEIVE_BYTES = 32 * MIB
FETCH_BYTES = 24 * MIB
PARTITION_FETCH_BYTES = 12 * MIB


def consumer_limits() -> dict[str, str | int]:
    """Return the limits that each of our consumers has.

    A zstd batch that unpacks to more than `receive.message.max.bytes` is an error of the client,
    which `streams.kafka.unreadable` steps over. The other codecs are unpacked whole, whatever
    comes out; what is left then is `max.message.bytes` of the topic: docs/architecture.md.
    """
    return {
        "receive.message.max.bytes": RECEIVE_BYTES,
        "fetch.max.bytes": FETCH_BYTES,
        "fetch.message.max.bytes": PARTITION_FETCH_BYTES,
    }
