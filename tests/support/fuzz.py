"""Whole Kafka messages, mutated with knowledge of their structure: a seed gives the same ones."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.support.malformed import good_event
from tests.support.raw_producer import RawMessage

CODECS = (None, None, "gzip", "snappy", "lz4", "zstd")
TYPES = ("product-created", "product-updated", "product-offer-updated", "product-deleted")
CE_NAMES = (b"ce_specversion", b"ce_id", b"ce_type", b"ce_time", b"content-type")
OUR_NAMES = (
    b"__visualsearch.order", b"__visualsearch.retry.not_before", b"__visualsearch.retry.topic",
    b"__visualsearch.errors.code", b"occurred_at", b"event_type", b"traceparent",
    b"reply_to", b"kafka_replyTopic", b"kafka_correlationId",
)  # fmt: skip
# Timestamps: none, zero, now, the far future, and what no calendar has.
TIMES = (None, None, None, 0, 1_800_000_000_000, 253_402_300_800_000, 2**62)
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 10**30, -1e308, "", " ", "\x00", "ünïcode 👗", "x" * 5000,
    "2026-13-40", "data:image/png;base64,AAAA", "http://127.0.0.1:1/x.jpg", "file:///etc/passwd",
    "blob:" + "0" * 64, [], {}, [None] * 500, {"a": {"a": {"a": []}}}, [["a"]] * 50,
)  # fmt: skip


class Fuzz:
    """Draws messages. Product ids are `f-<n>` of a few, so that events of one product meet."""

    def __init__(self, seed: int, picture: Callable[[int], str]) -> None:
        self.rng = random.Random(seed)
        self._picture = picture

    def event(self, topics: tuple[str, ...], partitions: int) -> RawMessage:
        """Return a message for a product topic."""
        rng = self.rng
        product = f"f-{rng.randrange(200)}"
        body = good_event(product, rng.choice(TYPES))
        body["product"]["images"] = [{"data": self._picture(rng.randrange(4096))}]
        if body["event_type"] == "product-offer-updated":
            body["product"] = {"product_id": product, "price": 1.0}
        value = self._value(body)
        key = self._key(product)
        return RawMessage(
            rng.choice(topics), rng.randrange(partitions), key, value, self._headers(CE_NAMES),
            rng.choice(TIMES), rng.choice(CODECS),
        )  # fmt: skip

    def request(self, number: int, topic: str, partitions: int) -> RawMessage:
        """Return a message for the requests; its `correlation_id` is its number."""
        rng = self.rng
        body: dict[str, Any] = {"request_id": f"r-{rng.randrange(50)}", "query": self._query()}
        for name, values in (
            ("top_k", (1, 40, 1000)), ("deadline_ms", (1, 2000, 30_000)), ("diversity", (0.3,)),
            ("filters", ({"category": ["Shirts"]}, {"price_max": 3, "in_stock": True})),
            ("collapse_duplicates", (True,)), ("explain", (True, ["f-1"])), ("mode", ("look",)),
        ):  # fmt: skip
            if rng.random() < 0.2:
                body[name] = rng.choice(values)
        headers = ((b"correlation_id", b"%d" % number), *self._headers(OUR_NAMES))
        return RawMessage(
            topic, rng.randrange(partitions), self._key(f"r-{number}"), self._value(body), headers,
            None, rng.choice(CODECS),
        )  # fmt: skip

    def _query(self) -> dict[str, Any]:
        rng = self.rng
        parts: list[dict[str, Any]] = [
            {"text": "red shirt"}, {"image": self._picture(rng.randrange(4096))},
            {"similar_to": f"f-{rng.randrange(200)}"}, {"vector": [0.25] * 16},
            {"vector": [1e-300] * 16}, {"texts": [{"text": "a", "weight": -1}]},
        ]  # fmt: skip
        return {k: v for part in rng.sample(parts, rng.randint(1, 2)) for k, v in part.items()}

    def _key(self, key: str) -> bytes | None:
        if self.rng.random() < 0.9:
            return key.encode()
        return self.rng.choice(
            (None, b"", b"\xff\xfe", key.encode() * 100, json.dumps(key).encode(), b"\0\0\0\0\1x")
        )

    def _headers(self, names: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes | None], ...]:
        rng = self.rng
        if rng.random() < 0.6:
            return ()
        values = (
            None,
            b"",
            b"1.0",
            b"\xff\xff",
            b"-1,0",
            b"5,5",
            b"9" * 5000,
            b"com.x.product-deleted",
        )
        found = [(rng.choice(names), rng.choice(values)) for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.2:
            found.append((rng.choice((b"\xff\xfe\x80", b"\xc3(", b"\xed\xa0\x80")), b"v"))
        if rng.random() < 0.05:
            found += [(b"many", b"x")] * 2000
        return tuple(found)

    def _value(self, body: dict[str, Any]) -> bytes | None:
        """Return a body's bytes: as it is, with something odd in it, or broken as bytes."""
        rng = self.rng
        choice = rng.random()
        if choice < 0.25:
            return json.dumps(body).encode()
        if choice < 0.65:
            for _ in range(rng.randint(1, 3)):
                body = self._changed(body)
            return json.dumps(body).encode()
        return self._broken(json.dumps(body).encode())

    def _changed(self, node: Any) -> Any:
        """Return the value with one place in it changed: replaced, left out, added, doubled."""
        rng = self.rng
        if isinstance(node, dict) and node and rng.random() < 0.8:
            name = rng.choice(list(node))
            kind = rng.random()
            if kind < 0.15:
                return {k: v for k, v in node.items() if k != name}
            if kind < 0.3:
                return node | {rng.choice(("x", "price", "ünbekannt", "")): rng.choice(ODD)}
            return node | {name: self._changed(node[name])}
        if isinstance(node, list) and node and rng.random() < 0.7:
            at = rng.randrange(len(node))
            return [*node[:at], self._changed(node[at]), *node[at:]]
        return rng.choice(ODD)

    def _broken(self, data: bytes) -> bytes | None:
        rng = self.rng
        at = rng.randrange(len(data))
        return rng.choice((
            None, b"", data[:at], data + b"}", data[:at] + b"\xff" + data[at:],
            b"\xef\xbb\xbf" + data, b"\0\0\0\0\7" + data, data.replace(b"1", b"1e999"),
            data.replace(b"1", b"NaN"),
            data.replace(b'"', b"'"), b"[" * 50_000, b'{"a":' * 20_000,
            b"[" + b"{}," * 100_000 + b"{}]",
            b" " * 200_000 + data, data.replace(b"{", b'{"event_id":"x","event_id":"y",', 1),
            b"\xff\xfe" + data.decode().encode("utf-16-le"), b'"' + b"\\ud800" * 1000 + b'"',
            bytes(rng.randrange(256) for _ in range(300)), b'{"request_id":"' + b"x" * 300 + b'"}',
        ))  # fmt: skip
