"""A broker on this machine, for demo, tests and laptops: Apache Kafka in KRaft mode, one JVM.

`start_broker` finds Apache Kafka (see `sources`), starts it on loopback and returns once it
answers. `stop_broker` and `broker_status` find it by the state file in its data folder.
"""

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.info import BrokerInfo, BrokerKind
from streams.tools.broker.lifecycle import broker_status, start_broker, stop_broker

__all__ = [
    "BrokerError",
    "BrokerInfo",
    "BrokerKind",
    "broker_status",
    "start_broker",
    "stop_broker",
]
