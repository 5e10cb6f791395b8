"""The limit on the Kafka clients' log."""

import logging
from importlib import import_module

from streams.kafka.log_limit import OURS, ClientLogLimit


def record(name: str, text: str) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, None, None)


def test_a_client_repeats_itself_once_in_ten_seconds() -> None:
    """Digits do not make a message another one; what was held back is counted."""
    clock = [0.0]
    limit = ClientLogLimit(10.0, now=lambda: clock[0])
    assert limit.filter(record("faust.client", "node 1 away"))
    assert not limit.filter(record("faust.client", "node 2 away"))
    assert not limit.filter(record("faust.client", "node 1 away"))
    assert limit.filter(record("faust.client", "another text"))
    assert limit.filter(record("aiokafka.other", "node 1 away"))
    clock[0] = 10.0
    again = record("faust.client", "node 1 away")
    assert limit.filter(again)
    assert again.getMessage() == "node 1 away (and 2 like it)"


def test_what_is_no_clients_is_never_held_back() -> None:
    """Our own words, and those of a package whose name only starts alike."""
    limit = ClientLogLimit()
    for name in ("streams.ingest", "faustian", "root"):
        assert all(limit.filter(record(name, "same")) for _ in range(3))


def test_a_traceback_per_malformed_http_request_is_held_back() -> None:
    """Whoever reaches the port could fill the disk."""
    limit = ClientLogLimit()
    text = "Error handling request from %s"
    assert [limit.filter(record("aiohttp.server", text)) for _ in range(3)] == [True, False, False]


def test_each_logger_of_ours_that_is_limited_is_one() -> None:
    """A module that moved would log a line per event while the broker is away."""
    for name in OURS:
        assert import_module(name).log.name == name
