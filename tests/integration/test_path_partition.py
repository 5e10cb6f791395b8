"""Where keys go on a real broker: every client and our own function agree."""

import asyncio
from pathlib import Path

from streams.config.topics import TopicSpec
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo
from tests.support.harness import make_settings, read_topic
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.client.producer import Producer


async def test_librdkafka_puts_a_key_where_the_function_says(
    kafka: BrokerInfo, tmp_path: Path
) -> None:
    """Keys of every length up to 40 bytes, and in scripts of two, three and four bytes."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    topic = f"{settings.topic_prefix}keys"
    await asyncio.to_thread(create_topics, kafka.bootstrap, [TopicSpec(topic, 7, {})])
    keys = ["x" * n for n in range(1, 41)]
    keys += [char * n for char in ("é", "商", "👗") for n in range(1, 8)]
    keys += [f"sku-{n:05d}/ü" for n in range(200)]
    with Producer(settings.kafka()) as producer:
        await producer.send(OutgoingMessage(topic, key.encode(), b"") for key in keys)
    found = {message.key().decode(): message.partition() for message in read_topic(settings, topic)}
    assert found == {key: partition_of(key, 7) for key in keys}
    assert set(found.values()) == set(range(7))
