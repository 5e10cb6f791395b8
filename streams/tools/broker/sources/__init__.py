"""The sources of a broker, in the order in which they are tried; one module each."""

from collections.abc import Mapping

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.launch import BrokerSource, Launcher, LaunchRequest, Unavailable
from streams.tools.broker.sources.docker import from_docker
from streams.tools.broker.sources.kafka_home import from_kafka_home
from streams.tools.broker.sources.maven import from_maven

SOURCES: Mapping[str, BrokerSource] = {
    "kafka-home": from_kafka_home,
    "maven": from_maven,
    "docker": from_docker,
}

WHAT_TO_INSTALL = (
    "Install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven; "
    "macOS: brew install openjdk@17 maven), or set KAFKA_HOME to an unpacked Apache Kafka 4.x, "
    "or start Docker, or name a running broker with --bootstrap."
)


def find_launcher(request: LaunchRequest, sources: Mapping[str, BrokerSource]) -> Launcher:
    """Return the first broker found; raise with every reason when there is none.

    The error's code is that of the first way that failed for a cause worth telling (an old Java, a
    failed fetch), else no_broker.
    """
    closed: list[Unavailable] = []
    for source in sources.values():
        found = source(request)
        if isinstance(found, Launcher):
            for item in closed:
                if item.code != "not_set":
                    request.say(f"Passed over {item.source}: {item.reason}")
            return found
        closed.append(found)
    reasons = "\n".join(f"  {item.source}: {item.reason}" for item in closed)
    telling = [item.code for item in closed if item.code != "not_set"]
    raise BrokerError(
        f"No way to a broker was found.\n{reasons}\n{WHAT_TO_INSTALL}",
        code=telling[0] if telling else "no_broker",
    )
