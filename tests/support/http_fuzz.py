"""HTTP requests of every kind that a worker may be sent, made from a seed.

Each is a `Case`: the bytes of one connection, and what must come back. A well-formed request has
one answer. What is not HTTP, or is cut off, may be answered or not, but never with a status 500.
"""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.support.malformed_requests import bad_requests, good_request

PRODUCTS = 40  # product p{n} shows `image(n)`
HANGING_MS = 300
GRACE_S = 3.0
OTHER_S = 15.0  # for an answer that no deadline belongs to
SHARED_IDS = ("same", "same too", "", "\u0000", "ä\u2028", "x" * 256)

# Anything that is no error of the service.
FINE = frozenset(range(200, 500)) | {503, 504}


class Case(NamedTuple):
    """The bytes of one connection. `answers` is None where the number is the server's choice."""

    kind: str
    data: bytes
    answers: int | None = 1
    statuses: frozenset[int] = FINE
    within_s: float = OTHER_S
    product: str | None = None  # the first hit
    request_id: str | None = None  # of the answer
    head: bool = False  # an answer without a body
    leave: bool = False  # close without reading


def cases(count: int, seed: int, picture: Callable[[int], bytes], hanging: str) -> Iterator[Case]:
    """Yield so many cases; the image URL `hanging` is never answered."""
    rng = random.Random(seed)
    made = _Maker(rng, picture, hanging)
    kinds = [kind for kind, weight in made.kinds() for _ in range(weight)]
    for _ in range(count):
        yield rng.choice(kinds)()


class _Maker:
    def __init__(self, rng: random.Random, picture: Callable[[int], bytes], hanging: str) -> None:
        self._rng = rng
        self._images = [base64.b64encode(picture(n)).decode() for n in range(PRODUCTS)]
        self._hanging = hanging
        bad = bad_requests(200, rng.randrange(2**32))
        self._bad = [each for each in bad if each.field != "request_id"]  # it is given one

    def kinds(self) -> list[tuple[Callable[[], Case], int]]:
        """Return what there is, and how often."""
        return [
            (self.search, 12), (self.refused, 6), (self.mutated, 12), (self.not_json, 6),
            (self.hurried, 3), (self.hanging, 2), (self.get, 12), (self.odd_path, 8),
            (self.products, 6), (self.method, 4), (self.pipelined, 3), (self.cut, 8),
            (self.flipped, 8), (self.length, 8), (self.chunks, 5), (self.headers, 5),
            (self.encoded, 5), (self.garbage, 5), (self.left, 5), (self.expecting, 1),
        ]  # fmt: skip

    # Well-formed: one answer each

    def search(self) -> Case:
        """Search for one product, under an id that others have as well."""
        rng = self._rng
        number = rng.randrange(PRODUCTS)
        body: dict[str, Any] = {"query": {"image": self._images[number]}, "deadline_ms": 30_000}
        body["top_k"] = rng.randrange(1, 5)
        request_id = rng.choice((*SHARED_IDS, None))
        if request_id:
            body["request_id"] = request_id
        data = self._post(json.dumps(body, ensure_ascii=rng.random() < 0.5).encode())
        return Case("search", data, 1, frozenset({200}), 30 + GRACE_S, f"p{number}", request_id)

    def refused(self) -> Case:
        """Send a request with one fault."""
        bad = self._rng.choice(self._bad)
        return Case("refused", self._post(bad.value), 1, FINE - {200}, 60 + GRACE_S)

    def mutated(self) -> Case:
        """Replace something of a good request by something else."""
        body: Any = good_request(self._rng.choice(SHARED_IDS))
        for _ in range(self._rng.randrange(1, 4)):
            body = self._mutate(body)
        text = json.dumps(body)
        for hole, value in _RAW_VALUES.items():
            text = text.replace(f'"{hole}"', value)
        return Case("mutated", self._post(text.encode()), within_s=600 + GRACE_S)

    def not_json(self) -> Case:
        """Send a body that is almost JSON."""
        rng = self._rng
        body = json.dumps(good_request("a")).encode()
        at = rng.randrange(len(body))
        spoiled = rng.choice((
            body[:at], body + body, body[:at] + b"\xff\xfe" + body[at:], b"\xef\xbb\xbf" + body,
            body.decode().encode("utf-16"), b"", b" ", b"null", b"[" * 100_000, b'{"a":' * 50_000,
            b'{"query":{"text":"x"},"x":[' + b"[]," * 100_000 + b"[]]}", b"\x00" * 100,
            body[:at] + b"\x00" + body[at:], b'{"request_id":"\\ud800","query":{"text":"x"}}',
            body[:-1] + b',"top_k":1,"top_k":2}', b"9" * 10_000, b'"' + b"a" * 100_000,
        ))  # fmt: skip
        return Case("not json", self._post(spoiled), within_s=60 + GRACE_S)

    def hurried(self) -> Case:
        """Search with a deadline that may be too short."""
        deadline_ms = self._rng.randrange(1, 40)
        body = {"query": {"text": "x"}, "deadline_ms": deadline_ms, "request_id": "same"}
        statuses = frozenset({200, 503, 504})
        within_s = deadline_ms / 1000 + GRACE_S
        return Case("hurried", self._post(json.dumps(body).encode()), 1, statuses, within_s)

    def hanging(self) -> Case:
        """Search with an image whose host never answers."""
        body = {"query": {"image": self._hanging}, "deadline_ms": HANGING_MS}
        within_s = HANGING_MS / 1000 + GRACE_S
        return Case("hanging", self._post(json.dumps(body).encode()), 1, FINE - {200}, within_s)

    def get(self) -> Case:
        """Ask any route."""
        rng = self._rng
        name = f"p{rng.randrange(PRODUCTS)}"
        path = rng.choice((
            "/", "/metrics", "/livez", "/readyz", f"/v1/images/{name}", f"/v1/products/{name}",
            "/v1/products", f"/v1/products?product_id={name}&vectors=1", "/?x=%FF",
        ))  # fmt: skip
        method = rng.choice(("GET", "GET", "GET", "HEAD"))
        data = self._request(f"{method} {path}")
        return Case("get", data, 1, frozenset({200}), head=method == "HEAD")

    def odd_path(self) -> Case:
        """Ask for a product or image of a name that is hard to write."""
        rng = self._rng
        odd = rng.choice((
            "%00", "%FF", "%2F", "%", "%zz", "%C0%AF", "%ED%A0%80", "..", "../../x", "%2e%2e%2f",
            "//", ";a=b", "%25", "%F0%9F%91%95", "x" * 6000, "?image_id", "#", "%0d%0aX:%20y",
            "?image_id=%FF&image_id=", "p1?image_id=0",
        ))  # fmt: skip
        route = rng.choice(("/v1/images/", "/v1/products/", "/v1/", "/"))
        return Case("odd path", self._request(f"GET {route}{odd}"))

    def products(self) -> Case:
        """Stream products with parameters, good and bad."""
        rng = self._rng
        pairs = [
            (rng.choice(("limit", "vectors", "product_id", "limt", "")), rng.choice(_PARAMETERS))
            for _ in range(rng.randrange(4))
        ]
        query = "&".join(f"{name}={quote(value, safe='%')}" for name, value in pairs)
        return Case("products", self._request(f"GET /v1/products?{query}"), statuses=_OK_OR_400)

    def method(self) -> Case:
        """Use a method that the route does not have, or that does not exist."""
        rng = self._rng
        method = rng.choice(("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "GETT"))
        path = rng.choice(("/", "/metrics", "/v1/search", "/v1/products", "/v1/images/p1"))
        return Case(
            "method", self._request(f"{method} {path}"), statuses=frozenset({400, 404, 405})
        )

    def pipelined(self) -> Case:
        """Send several requests before the first answer."""
        count = self._rng.randrange(2, 12)
        path = self._rng.choice(("/livez", "/v1/products/p1", "/v1/images/p2"))
        return Case("pipelined", self._request(f"GET {path}") * count, count)

    def expecting(self) -> Case:
        """Ask whether the body may be sent."""
        body = json.dumps({"query": {"text": "x"}, "deadline_ms": 30_000}).encode()
        return Case("expecting", self._post(body, "Expect: 100-continue"), within_s=30 + GRACE_S)

    # Malformed, or not to be read to its end

    def cut(self) -> Case:
        """End a good request too early."""
        data = self.search().data
        return Case("cut", data[: self._rng.randrange(len(data))], None)

    def flipped(self) -> Case:
        """Change a few bytes in the head of a good request."""
        data = bytearray(self._rng.choice((self.search, self.get))().data)
        end = data.index(b"\r\n\r\n") + 4
        for _ in range(self._rng.randrange(1, 4)):
            data[self._rng.randrange(end)] = self._rng.choice((*b"\0\r\n :,;%\x7f\xff", 65))
        return Case("flipped", bytes(data), None)

    def length(self) -> Case:
        """Give a wrong length, or two."""
        body = json.dumps({"query": {"text": "x"}, "deadline_ms": 500}).encode()
        size = len(body)
        told = self._rng.choice((
            f"Content-Length: {size - 5}", f"Content-Length: {size + 5}", "Content-Length: -1",
            "Content-Length: x", f"Content-Length: {'9' * 5000}", f"Content-Length: {2**63}",
            f"Content-Length: {size}\r\nContent-Length: {size + 1}", f"Content-Length: +{size}",
            f"Content-Length: {size}\r\nTransfer-Encoding: chunked", "Content-Length: 0",
            "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "X: y",
            "Transfer-Encoding: chunked, identity", f"Content-Length: 0x{size:x}",
        ))  # fmt: skip
        return Case("length", _head("POST /v1/search", told) + body, None)

    def chunks(self) -> Case:
        """Send malformed chunks."""
        body = self._rng.choice((
            b"zz\r\nab\r\n0\r\n\r\n", b"-1\r\n", b"ffffffffffffffffff\r\nab", b"5\r\nab\r\n",
            b"2\r\nabXX0\r\n\r\n", b"2;" + b"e" * 20_000 + b"\r\nab\r\n0\r\n\r\n", b"0\r\n",
            b"2\r\n{}\r\n0\r\n" + b"T: x\r\n" * 500 + b"\r\n", b"\r\n", b"1\r\n{\r\n" * 2000,
        ))  # fmt: skip
        return Case("chunks", _head("POST /v1/search", "Transfer-Encoding: chunked") + body, None)

    def headers(self) -> Case:
        """Send headers that are too many, too long or malformed."""
        rng = self._rng
        odd = rng.choice((
            "X: " + "a" * 100_000, "X" * 100_000 + ": a",
            "\r\n".join(f"X{n}: y" for n in range(3000)), "X", ": y", " X: y", "X : y",
            "X: a\r\n b", "X: \0", "Host: a\r\nHost: b", "Host:",
            "Cookie: " + "a=b; " * 5000, "Upgrade: websocket\r\nConnection: upgrade", "\x7f: x",
            "Connection: \xff", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
            "Range: bytes=5-2", "If-Modified-Since: never", "Accept-Encoding: \0",
        ))  # fmt: skip
        route = rng.choice(("GET /livez", "GET /v1/images/p1", "POST /v1/search"))
        return Case("headers", _head(route, odd), None)

    def encoded(self) -> Case:
        """Name an encoding of the body, rightly or not."""
        body = json.dumps({"query": {"text": "x"}, "deadline_ms": 30_000}).encode()
        encoding, data = self._rng.choice((
            ("gzip", gzip.compress(body)), ("gzip", gzip.compress(body)[:-9]), ("gzip", body),
            ("gzip", gzip.compress(b" " * 20_000_000)), ("deflate", zlib.compress(body)),
            ("deflate", body), ("br", body), ("zstd", body), ("identity", body), ("x\xff", body),
            ("gzip, gzip", gzip.compress(gzip.compress(body))), ("gzip", b""),
        ))  # fmt: skip
        told = f"Content-Encoding: {encoding}\r\nContent-Length: {len(data)}"
        return Case("encoded", _head("POST /v1/search", told) + data, None, within_s=30 + GRACE_S)

    def garbage(self) -> Case:
        """Send what is no HTTP/1.1."""
        rng = self._rng
        good = self._request("GET /livez")
        noise = rng.randbytes(rng.randrange(1, 3000))
        data = rng.choice((
            noise, good + noise, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + noise, b"GET / HTTP/9.9\r\n\r\n",
            b"GET /\r\n\r\n", b"\r\n" * 1000 + good, b"GET  /livez  HTTP/1.1\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\n\r\n",
            b"GET //[::/ HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00", b"GET /" + b"a" * 50_000,
            b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        ))  # fmt: skip
        return Case("garbage", data, None)

    def left(self) -> Case:
        """Send a good request and close without reading."""
        data = self._rng.choice((self.search, self.hanging, self.products, self.get))().data
        return Case("left", data, None, leave=True)

    # How a request is written

    def _post(self, body: bytes, *more: str) -> bytes:
        rng = self._rng
        how = rng.random()
        if how < 0.25:
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in self._pieces(body) if c)
            told, body = "Transfer-Encoding: chunked", chunks + b"0\r\n\r\n"
            return _head("POST /v1/search", told, *more) + body
        if how < 0.4:
            body = gzip.compress(body, 1)
            more = ("Content-Encoding: gzip", *more)
        version = "HTTP/1.0" if how > 0.9 and not more else "HTTP/1.1"
        name = rng.choice(("Content-Length", "content-length", "CONTENT-LENGTH"))
        kind = rng.choice(("application/json", "text/plain", "multipart/form-data", "\xff", ""))
        told = (f"{name}: {len(body)}", f"Content-Type: {kind}", *more)
        return _head("POST /v1/search", *told, version=version) + body

    def _request(self, line: str) -> bytes:
        more = self._rng.choice(((), ("Accept: */*",), ("Connection: keep-alive",), ("X-Y: \xe4",)))
        return _head(line, *more)

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        while body:
            size = self._rng.randrange(1, 2000)
            yield body[:size]
            body = body[size:]

    def _mutate(self, value: Any) -> Any:
        """Replace something somewhere below."""
        rng = self._rng
        if isinstance(value, dict) and value and rng.random() < 0.85:
            name = rng.choice(list(value))
            if rng.random() < 0.1:
                return {**value, rng.choice(("", "x", name.upper(), "\u0000")): value[name]}
            return {**value, name: self._mutate(value[name])}
        if isinstance(value, list) and value and rng.random() < 0.85:
            return [*value[1:], self._mutate(value[0])]
        return rng.choice(_VALUES)


_RAW_VALUES = {"§nan": "NaN", "§inf": "-Infinity", "§big": "1e400", "§long": "9" * 5000,
               "§zero": "-0", "§deep": "[" * 2000 + "]" * 2000}  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 2**200, 1e308, "", "x", "\u0000", "x" * 100_000, [], {}, [[]],
    {"": {}}, ["x"] * 5000, [None], list(range(200)), {str(n): n for n in range(500)},
    "http://[", "http://127.0.0.1:1/a.jpg", "file:///etc/passwd", "data:image/png;base64,aa",
    "blob:00", "s3://b/k", "ä\u202e", "p1", "2026-05-01", *_RAW_VALUES,
)  # fmt: skip
_PARAMETERS = ("1", "0", "-1", "9" * 5000, "3", "٣", "%FF", "", "true", "maybe", "p1", "%00", "1e3")
_OK_OR_400 = frozenset({200, 400})


def _head(line: str, *headers: str, version: str = "HTTP/1.1") -> bytes:
    text = "\r\n".join((f"{line} {version}", "Host: worker", *headers, "", ""))
    return text.encode("latin-1", "replace")
