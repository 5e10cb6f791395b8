"""The AsyncAPI 3.0 document: which topic carries what, with which key and headers.

The document is complete in itself. Ids of channels, messages and operations are in camel case,
and each schema has a name: code generators make names of them.
"""

from typing import Any

from streams.tools.schemas.examples import EXAMPLES
from streams.tools.schemas.schema import CONTRACTS, schemas_by_name
from visualsearch.contracts.events import EVENT_TYPES

VERSION = "1.0.0"
"""Version of the contracts, not of the program."""

KAFKA = "0.5.0"
"""Version of AsyncAPI's Kafka binding."""

PROMISE = """\
Product events in, searches in, results out, through Kafka.

Compatibility within a major version of this document:

- Producers of events and requests may rely on this: what is accepted today stays accepted and keeps
  its meaning. New fields are optional. Fields of an event that are not known are ignored. A request
  with a field that is not known is refused (`field_unknown`).
- Consumers of results and heartbeats must ignore fields that they do not know, at every level. New
  fields may appear, and a property whose description says so may have new values. Properties are
  never removed, and their types and meanings never change.
- `status` of a result is `ok`, `partial` or `error`. A consumer that meets another one treats it as
  `error` if `error` is set, else as `partial`.
- Messages of `index-log` are internal and not described here.
"""

_PER_TYPE = "For catalogs that publish a topic per type."
TOPICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "product-events": ("Events of any type, in one order: recommended.", tuple(EVENT_TYPES)),
    **{name: (_PER_TYPE, (name,)) for name in EVENT_TYPES},
    "search-requests": ("Search requests.", ("search-request",)),
    "search-results": ("One result for each request.", ("search-result",)),
    "index-log": ("Derived state, compacted; MessagePack, internal.", ("index-record",)),
    "product-retry": ("Events whose images are fetched again later.", tuple(EVENT_TYPES)),
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

# Headers: what each holds, and an example.
Headers = dict[str, tuple[str, str]]
_TRACE_ID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE: Headers = {"traceparent": ("W3C trace context; it is passed on.", _TRACE_ID)}
CLOUDEVENT: Headers = {
    name: (f"CloudEvents binary mode: {what}.", example)
    for name, what, example in (
        ("ce_specversion", "its presence selects the mode", "1.0"),
        ("ce_id", "event_id", "event-1"),
        ("ce_type", "event_type, behind any reverse-DNS prefix", "com.shop.product-created"),
        ("ce_time", "occurred_at", "2026-05-01T12:00:00Z"),
    )
}
_SPRING = "The same, as Spring for Apache Kafka names it."
REPLY: Headers = {
    "reply_to": ("Topic for the result; it must be on the allow-list.", "shop-results"),
    "kafka_replyTopic": (_SPRING, "shop-results"),
}
CORRELATION: Headers = {
    "correlation_id": ("Comes back with the result.", "7f9c2ba4"),
    "kafka_correlationId": (_SPRING, "7f9c2ba4"),
}
FAULTS: Headers = {
    f"__visualsearch.errors.{name}": (what, example)
    for name, what, example in (
        ("topic", "Topic of the original message.", "product-events"),
        ("partition", "Partition of the original message.", "3"),
        ("offset", "Offset of the original message.", "1207"),
        ("stage", "Stage that refused it.", "embedding"),
        ("code", "Stable code of the reason.", "image_http_404"),
        ("message", "The reason in words.", "shop.example/17.jpg: answered 404"),
        ("attempts", "How often it was tried.", "3"),
    )
}


def asyncapi_document() -> dict[str, Any]:
    """Return the whole document, schemas of the payloads included."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "visualsearch",
            "version": VERSION,
            "description": PROMISE,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {camel_case(name): _channel(name) for name in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {camel_case(name): message for name, message in _messages().items()},
            "schemas": schemas_by_name(CONTRACTS, "#/components/schemas/"),
        },
    }


def camel_case(name: str) -> str:
    """Return `search-results` as `searchResults`."""
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _channel(topic: str) -> dict[str, Any]:
    description, messages = TOPICS[topic]
    ids = [camel_case(name) for name in messages]
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ids},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA}},
    }


def _operations() -> dict[str, Any]:
    operations = {
        camel_case(f"{verb}-{topic}"): {
            "action": verb,
            "channel": {"$ref": f"#/channels/{camel_case(topic)}"},
        }
        for verb, topics in (("receive", RECEIVED), ("send", SENT))
        for topic in topics
    }
    operations["receiveSearchRequests"]["reply"] = {
        "address": {"location": "$message.header#/reply_to"},
        "channel": {"$ref": "#/channels/searchResults"},
    }
    return operations


def _messages() -> dict[str, Any]:
    messages = {name: _json_message(name, PRODUCT_KEY, CLOUDEVENT | TRACE) for name in EVENT_TYPES}
    messages["search-request"] = _json_message(
        "search-request", "request_id", REPLY | CORRELATION | TRACE
    )
    messages["search-result"] = _json_message("search-result", "request_id", CORRELATION | TRACE)
    messages["worker-heartbeat"] = _json_message(
        "worker-heartbeat", "The worker's id; a null value is an orderly stop.", {}
    )
    for name in ("search-request", "search-result"):
        messages[name]["correlationId"] = {"location": "$message.header#/correlation_id"}
    messages["index-record"] = _message(
        "index-record", "<kind>:<product_id>, kind = base, offer or vectors", TRACE
    ) | {"contentType": "application/msgpack"}
    messages["dead-letter"] = _message(
        "dead-letter", "The key of the original message.", FAULTS
    ) | {"contentType": "application/octet-stream"}
    return messages


def _message(name: str, key: str, headers: Headers) -> dict[str, Any]:
    type_name = "".join(word.capitalize() for word in name.split("-"))
    described = {
        header: {"type": "string", "description": what, "examples": [example]}
        for header, (what, example) in headers.items()
    }
    return {
        "name": name,
        "title": type_name,
        "headers": {"type": "object", "title": f"{type_name}Headers", "properties": described},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": KAFKA}
        },
    }


def _json_message(name: str, key: str, headers: Headers) -> dict[str, Any]:
    return _message(name, key, headers) | {
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{CONTRACTS[name].__name__}"},
        "examples": [
            {"name": f"{camel_case(name)}{number}", "payload": example}
            for number, example in enumerate(EXAMPLES[name], 1)
        ],
    }
