"""The AsyncAPI 3.0 document: which topic carries what, with which key and headers."""

from typing import Any

from visualsearch.contracts.events import EVENT_TYPES

VERSION = "1.0.0"
"""Version of the contracts, not of the program."""

KAFKA = "0.5.0"
"""Version of AsyncAPI's Kafka binding."""

TOPICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "product-events": ("Events of any type, in one order: recommended.", tuple(EVENT_TYPES)),
    "product-created": ("For catalogues that publish a topic per type.", ("product-created",)),
    "product-updated": ("For catalogues that publish a topic per type.", ("product-updated",)),
    "product-offer-updated": (
        "For catalogues that publish a topic per type.",
        ("product-offer-updated",),
    ),
    "product-deleted": ("For catalogues that publish a topic per type.", ("product-deleted",)),
    "search-requests": ("One search each.", ("search-request",)),
    "search-results": ("One answer to each request.", ("search-result",)),
    "index-log": ("Derived state, compacted; MessagePack, internal.", ("index-record",)),
    "product-retry": ("Events whose picture is fetched again later.", tuple(EVENT_TYPES)),
    "dead-letters": ("Messages that could not be used, with the reason.", ("dead-letter",)),
    "workers": ("Heartbeats of the workers, compacted.", ("worker-heartbeat",)),
}

RECEIVED = (
    "product-events",
    *EVENT_TYPES,
    "product-retry",
    "index-log",
    "search-requests",
)
SENT = ("index-log", "product-retry", "dead-letters", "search-results", "workers")

PRODUCT_KEY = "product.product_id as UTF-8; it decides the partition (murmur2)"
TRACE = {"traceparent": "W3C trace context; it is passed on"}
CLOUDEVENT = {
    name: f"CloudEvents binary mode: {what}"
    for name, what in {
        "ce_specversion": "its presence selects the mode",
        "ce_id": "event_id",
        "ce_type": "event_type, behind any reverse-DNS prefix",
        "ce_time": "occurred_at",
    }.items()
}
REPLY = {
    "reply_to": "topic for the answer; it must be on the allow-list",
    "kafka_replyTopic": "the same, as Spring for Apache Kafka names it",
}
CORRELATION = {
    "correlation_id": "comes back with the answer",
    "kafka_correlationId": "the same, as Spring for Apache Kafka names it",
}
FAULTS = {
    f"__visualsearch.errors.{name}": what
    for name, what in {
        "topic": "where the message was",
        "partition": "where the message was",
        "offset": "where the message was",
        "stage": "what refused it",
        "code": "why: a stable code",
        "message": "why, in words",
        "attempts": "how often it was tried",
    }.items()
}


def asyncapi_document() -> dict[str, Any]:
    """Return the whole document; payloads refer to the schema files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "visualsearch",
            "version": VERSION,
            "description": "Product events in, searches in, answers out, through Kafka.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in TOPICS},
        "operations": _operations(),
        "components": {"messages": _messages()},
    }


def _channel(topic: str) -> dict[str, Any]:
    description, messages = TOPICS[topic]
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA}},
    }


def _operations() -> dict[str, Any]:
    operations = {
        f"{verb}-{topic}": {"action": verb, "channel": {"$ref": f"#/channels/{topic}"}}
        for verb, topics in (("receive", RECEIVED), ("send", SENT))
        for topic in topics
    }
    operations["receive-search-requests"]["reply"] = {
        "address": {"location": "$message.header#/reply_to"},
        "channel": {"$ref": "#/channels/search-results"},
    }
    return operations


def _messages() -> dict[str, Any]:
    messages = {
        name: _json_message(name, PRODUCT_KEY, CLOUDEVENT | TRACE)
        for name in EVENT_TYPES
    }  # fmt: skip
    messages["search-request"] = _json_message(
        "search-request", "request_id", REPLY | CORRELATION | TRACE
    )
    messages["search-result"] = _json_message("search-result", "request_id", CORRELATION | TRACE)
    messages["worker-heartbeat"] = _json_message(
        "worker-heartbeat", "the worker's id; a null value is an orderly stop", {}
    )
    for name in ("search-request", "search-result"):
        messages[name]["correlationId"] = {"location": "$message.header#/correlation_id"}
    messages["index-record"] = _message(
        "index-record", "<kind>:<product_id>, kind = base, offer or vectors", TRACE
    ) | {"contentType": "application/msgpack"}
    messages["dead-letter"] = _message(
        "dead-letter", "the original key", FAULTS
    ) | {"contentType": "application/octet-stream"}  # fmt: skip
    return messages


def _message(name: str, key: str, headers: dict[str, str]) -> dict[str, Any]:
    described = {
        header: {"type": "string", "description": what} for header, what in headers.items()
    }
    return {
        "name": name,
        "headers": {"type": "object", "properties": described},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": KAFKA}
        },
    }


def _json_message(name: str, key: str, headers: dict[str, str]) -> dict[str, Any]:
    payload = {
        "schemaFormat": "application/schema+json;version=draft-2020-12",
        "schema": {"$ref": f"./{name}.schema.json"},
    }
    return _message(name, key, headers) | {
        "contentType": "application/json",
        "payload": payload,
    }
