"""An Apache Kafka that the user has unpacked: KAFKA_HOME."""

from pathlib import Path

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.java import find_java
from streams.tools.broker.jvm import jvm_launcher, kafka_version
from streams.tools.broker.launch import Launcher, LaunchRequest, Unavailable

OLDEST = 4  # KRaft without ZooKeeper, log4j2, and the settings that we write


def from_kafka_home(request: LaunchRequest) -> Launcher | Unavailable:
    """Use KAFKA_HOME if it is set; raise kafka_home_invalid if it holds no usable Kafka.

    It is never passed over in silence: whoever sets it means it.
    """
    home = request.environ.get("KAFKA_HOME")
    if not home:
        return Unavailable("KAFKA_HOME", "not_set", "not set")
    jars = sorted(Path(home, "libs").glob("*.jar"))
    version = kafka_version(jars)
    if version is None:
        raise BrokerError(
            f"KAFKA_HOME={home} holds no Kafka broker (libs/kafka_2.13-*.jar is missing). "
            "Point it to an unpacked Apache Kafka 4.x, or unset it.",
            code="kafka_home_invalid",
        )
    if int(version.split(".")[0]) < OLDEST:
        raise BrokerError(
            f"KAFKA_HOME={home} is Apache Kafka {version}; {OLDEST}.0 or newer is needed.",
            code="kafka_home_invalid",
        )
    return jvm_launcher(find_java(request.environ), jars, source="kafka-home", request=request)
