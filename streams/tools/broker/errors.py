"""Errors of starting and stopping a local broker."""

from visualsearch.errors import VisualSearchError


class BrokerError(VisualSearchError):
    """A broker cannot be started or stopped; `code` is stable, the message says what to do.

    Codes: java_missing, java_too_old, kafka_home_invalid, maven_missing, maven_failed,
    docker_missing, no_broker, port_taken, data_dir_invalid, start_failed, start_timeout,
    unreachable, stop_failed.
    """

    code = "broker_error"
