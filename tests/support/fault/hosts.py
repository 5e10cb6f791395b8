"""Image hosts on loopback: a good one, a slow one, one that lies, and one that is not there."""

import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.support.harness import picture
from visualsearch.client.closing import Closing

SLOW_S = 1.0
LIES = ("html", "truncated", "short", "long", "status/404", "status/410")


class _Handler(BaseHTTPRequestHandler):
    """Answers `/HOW/…/NUMBER.jpg` with `image(NUMBER)`, or with what HOW makes of it.

    Below `/mixed/` it does the same: one host has good and wrong files.
    """

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        """Answer."""
        how, *more, name = self.path.strip("/").removeprefix("mixed/").split("/")
        number = int(name.removesuffix(".jpg"))
        data = picture(number)
        if how == "slow":
            self.server.closing.wait(SLOW_S)
        if how == "status":
            self._answer(int(more[0]), b"no picture")
        elif how == "reluctant" and self.server.failed(self.path, failures_of(number)):
            self._answer(500, b"later")
        elif how == "html":
            self._answer(200, b"<html><body>Please log in</body></html>")
        elif how == "truncated":
            self._answer(200, data[: len(data) // 2])
        elif how in ("short", "long"):
            self._answer(200, data, len(data) // 2 if how == "short" else len(data) * 10)
            self.close_connection = True
        else:
            self._answer(200, data)

    def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.closing = threading.Event()
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def failed(self, path: str, failures: int) -> bool:
        """Count a request; return whether it is one of the first, which fail."""
        with self._lock:
            self._asked[path] += 1
            return self._asked[path] <= failures

    def handle_error(self, *_: object) -> None:
        """Pass over connections whose worker was killed."""


class Hosts(Closing):
    """All hosts; the URLs tell what will come of them, so that no list of them is needed."""

    def __init__(self) -> None:
        hows = ("good", "slow", "reluctant", "lying", "mixed")
        self._servers = {how: _Server() for how in hows}  # a host is told by its port
        self._dead = socket.socket()
        self._dead.bind(("127.0.0.1", 0))  # taken, but nobody listens: connections are refused

    def __enter__(self) -> Self:
        """Listen."""
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def close(self) -> None:
        """Let the slow ones go and stop."""
        for server in self._servers.values():
            server.closing.set()
            server.shutdown()
            server.server_close()
        self._dead.close()

    def url(self, how: str, number: int) -> str:
        """Return a URL: good, slow, reluctant, dead, a lie, or `mixed/` and good or a lie."""
        server = self._servers.get(how.partition("/")[0], self._servers["lying"])
        port = self._dead.getsockname()[1] if how == "dead" else server.server_port
        return f"http://127.0.0.1:{port}/{how}/{number}.jpg"


def failures_of(number: int) -> int:
    """Return how often the reluctant host answers 500 before an image of it is there.

    Mostly within the attempts of one fetch, sometimes not.
    """
    return 4 if number % 4 == 0 else 2


def never_a_picture(url: str) -> bool:
    """Return whether no image will ever come from a URL of these hosts."""
    how = url.split("/", 3)[3].rpartition("/")[0].removeprefix("mixed/")
    return how == "dead" or how in LIES
