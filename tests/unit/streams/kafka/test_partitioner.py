"""The partition of a product is the one that Java's clients would give it."""

import pytest

from visualsearch.client.partitioner import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest#testMurmur2, signed 32-bit
JAVA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("text", "hashed"), JAVA.items())
def test_murmur2_is_javas(text: str, hashed: int) -> None:
    """The vectors of Kafka's own unit test."""
    assert murmur2(text.encode()) == hashed & 0xFFFFFFFF


def test_partition_drops_the_sign_and_takes_the_remainder() -> None:
    """As `toPositive(murmur2(key)) % n` in Java's default partitioner."""
    assert partition_of("21", 8) == (-973932308 & 0x7FFFFFFF) % 8
    assert {partition_of(f"p{n}", 8) for n in range(200)} == set(range(8))
    assert partition_of("anything", 1) == 0
