"""Options of consumers that are assigned their partitions: no group is joined or committed."""


def by_assignment(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return the options of a consumer; `name` says whose: librdkafka wants a group even so."""
    return options | {"group.id": f"visualsearch-{name}-unused", "enable.auto.commit": False}


def from_the_start(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return those of one that reads partitions from their beginnings and is told of their ends."""
    return by_assignment(options, name) | {
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
