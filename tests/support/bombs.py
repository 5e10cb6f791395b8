"""Messages within the size of the contract that cost a naive decoder gigabytes or seconds.

Each is the tail of a JSON object, put behind the fields that a good event or request begins with.
"""

from collections.abc import Callable

SIZE = 10 * 1024 * 1024


def _filled(item: bytes) -> bytes:
    return item * ((SIZE - 1000) // len(item))


def _listed(item: bytes) -> Callable[[], bytes]:
    return lambda: b"[" + _filled(item) + b"0]"


# By what they are made of; each is made when it is asked for, a little below 10 MiB.
TOO_MANY: dict[str, Callable[[], bytes]] = {
    "a list of texts": _listed(b'"",'),
    "a list of objects": _listed(b"{},"),
    "a list of lists": _listed(b"[],"),
    "a list of members": _listed(b'{"":0},'),
    "a list of numbers": _listed(b"0,"),
    "a list of pairs": _listed(b"[[]],"),
    "an object of members": lambda: b"{" + _filled(b'"a":0,') + b'"a":0}',
    "open lists": lambda: _filled(b"["),
    "open objects": lambda: _filled(b'{"a":'),
}
BOMBS: dict[str, Callable[[], bytes]] = TOO_MANY | {
    "closed lists": lambda: b"[" * 65 + _filled(b"]"),
    "quotes": lambda: b"[" * 65 + _filled(b'"'),
    "escaped backslashes": lambda: b"[" * 65 + b'"' + _filled(rb"\\") + b'"' + b"]" * 65,
    "escaped quotes": lambda: b"[" * 65 + b'"' + _filled(rb"\"]") + b'"' + b"]" * 65,
    "escaped letters": lambda: b'"' + _filled(rb"\u0041") + b'"',
    "wide letters": lambda: b'"\xf0\x9f\x98\x80' + _filled(b"a") + b'"',
    "digits": lambda: _filled(b"7"),
    "decimals": lambda: b"0." + _filled(b"7"),
    "long numbers": lambda: b"[" + _filled(b"1" * 4000 + b",") + b"1]",
    "blanks": lambda: _filled(b" ") + b"0",
    "as many objects as may be": lambda: b"[" + b'{"":0},' * 166_000 + b"0]",
    "as many lists as may be": lambda: b"[" + b"[[]]," * 166_000 + b"0]",
}


def as_request(member: bytes, path: str) -> bytes:
    """Return a request that has the member at `filters.tags`, `query.vector` and the like."""
    outer, _, inner = path.partition(".")
    if not inner:
        return b'{"request_id":"r","query":{"text":"x"},"%s":%s}' % (outer.encode(), member)
    return b'{"request_id":"r","%s":{"%s":%s}}' % (outer.encode(), inner.encode(), member)


def as_event(member: bytes, path: str) -> bytes:
    """Return an event that has the member in its product, or in a field that nobody knows."""
    head = b'{"event_id":"e","event_type":"product-created","occurred_at":"2026-05-01T12:00:00Z",'
    outer, _, inner = path.partition(".")
    product = b'"product":{"product_id":"p","title":"t","images":[]'
    if not inner:
        return head + product + b'},"%s":%s}' % (outer.encode(), member)
    return head + product + b',"%s":%s}}' % (inner.encode(), member)
