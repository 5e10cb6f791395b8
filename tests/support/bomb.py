"""A batch that is small on the wire and larger unpacked than a client takes."""

from confluent_kafka import Producer

from streams.config.settings import Settings

BOMB_BYTES = 110_000_000  # of blanks: 3.4 kB of zstd


def publish_bomb(settings: Settings, topic: str, partition: int, *, messages: int) -> None:
    """Publish one batch of zstd that unpacks to 110 MB, of so many messages."""
    producer = Producer(
        settings.kafka()
        | {
            "message.max.bytes": 990_000_000,
            "batch.size": 500_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
            "compression.type": "zstd",
            "linger.ms": 5000,  # `flush` sends at once
        }
    )
    for _ in range(messages):
        producer.produce(topic, b" " * (BOMB_BYTES // messages) + b"{}", b"bomb", partition)
    assert producer.flush(60) == 0
