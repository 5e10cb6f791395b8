"""Loopback ports: which are free, and which was asked for but is not."""

import random
import socket

from streams.tools.broker.errors import BrokerError

LOOPBACK = "127.0.0.1"
# Below the range from which the system lends ports to outgoing connections, so that the port of a
# stopped broker is still free when it comes back.
FIRST, LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As Kafka does: connections of a former run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(*, avoid: frozenset[int] = frozenset()) -> int:
    """Return a loopback port that is free now, outside the ephemeral range."""
    for _ in range(200):
        port = random.randint(FIRST, LAST)
        if port not in avoid and is_free(port):
            return port
    raise BrokerError("No free loopback port was found.", code="port_taken")


def require_free(port: int) -> int:
    """Return `port`, or raise `port_taken`."""
    if not is_free(port):
        raise BrokerError(
            f"Port {port} on {LOOPBACK} is taken by another program. "
            "Choose another with --port, or leave it out to get a free one.",
            code="port_taken",
        )
    return port
