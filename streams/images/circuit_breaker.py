"""A circuit breaker and a concurrency limit per image host (Nygard, "Release It!").

After `BREAK_AFTER` failures in a row the breaker opens for a while. Then `PROBES` fetches may try;
each failed round doubles the pause. A missing or invalid file is no failure of the host.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streams.images.errors import FetchError
from streams.images.places import absolute_folders, matching_root
from visualsearch.lru import Lru

BREAK_AFTER = 5
PROBES = 3  # concurrent, of a half-open host: a single one may hit a slow file
BREAK_S = 5.0
LONGEST_BREAK_S = 120.0
HOSTS = 10_000  # remembered
_WEIGHT = 0.3  # of the newest fetch in the running mean of a host's seconds


@dataclass(slots=True)
class _Host:
    slots: asyncio.Semaphore
    waiting: int = 0
    seconds: float = 0.0  # running mean of one fetch
    failures: int = 0  # in a row
    pause_s: float = BREAK_S
    closed_until: float = 0.0
    probes: int = 0  # in progress


class Permit:
    """A permit to fetch from a host. Call `start` when the fetch begins, to measure its time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began: float | None = None

    def start(self) -> None:
        """Start the clock: waiting for memory or for a connection does not count."""
        self._began = self._now()

    @property
    def seconds(self) -> float | None:
        """Duration of the fetch so far; None if it did not start."""
        return None if self._began is None else self._now() - self._began


class HostCircuitBreakers:
    """Permits of hosts. An expected wait over `longest_wait_s` is refused at once.

    Each of `roots` is a host as well: a folder may be a mount that hangs.
    """

    def __init__(
        self,
        at_once: int,
        longest_wait_s: float,
        now: Callable[[], float] = time.monotonic,
        *,
        roots: Sequence[Path] = (),
    ) -> None:
        self._roots = absolute_folders(roots)
        self._at_once = at_once
        self._longest_wait_s = longest_wait_s
        self._now = now
        self._hosts = Lru[str, _Host](HOSTS)

    @asynccontextmanager
    async def permit(self, url: str) -> AsyncIterator[Permit]:
        """Wait for a permit of the URL's host; record the result of the fetch made with it.

        Raises FetchError, transient: `image_host_down` while the breaker is open and
        `image_host_busy` when the queue is too long; neither sends a request.
        """
        permit = Permit(self._now)
        if (name := self._name_of(url)) is None:  # a blob or an object of a store: no host
            permit.start()
            yield permit
            return
        host = self._host(name)
        self._raise_if_open(host, name)
        wait_s = host.seconds * (host.waiting + 1) / self._at_once
        if host.slots.locked() and wait_s > self._longest_wait_s:
            text = f"{name}: {host.waiting} images wait already, about {wait_s:.0f} s"
            raise FetchError("image_host_busy", text, transient=True, attempts=0)
        host.waiting += 1
        try:
            await host.slots.acquire()
        finally:
            host.waiting -= 1
        try:
            self._raise_if_open(host, name)  # it may have opened meanwhile
            probing = host.failures >= BREAK_AFTER
            host.probes += probing
            try:
                yield permit
            except FetchError as error:
                if error.attempts:
                    self._record_result(host, permit, failed=error.host_failed)
                raise
            else:
                self._record_result(host, permit, failed=False)
            finally:
                host.probes -= probing
        finally:
            host.slots.release()

    def open_count(self) -> int:
        """Return how many breakers are open."""
        return sum(host.closed_until > self._now() for host in self._hosts.values())

    def _name_of(self, url: str) -> str | None:
        root = matching_root(url, self._roots)
        return _host_of(url) if root is None else str(root)

    def _host(self, name: str) -> _Host:
        if (host := self._hosts.get(name)) is None:
            host = _Host(asyncio.Semaphore(self._at_once))
            self._hosts.put(name, host)
        return host

    def _raise_if_open(self, host: _Host, name: str) -> None:
        left_s = host.closed_until - self._now()
        if left_s > 0 or (host.failures >= BREAK_AFTER and host.probes >= PROBES):
            text = (
                f"{name}: {host.failures} failures in a row, not asked for {max(left_s, 0):.0f} s"
            )
            raise FetchError("image_host_down", text, transient=True, attempts=0)

    def _record_result(self, host: _Host, permit: Permit, *, failed: bool) -> None:
        if (seconds := permit.seconds) is None:
            return
        host.seconds += (seconds - host.seconds) * (_WEIGHT if host.seconds else 1.0)
        if not failed:
            host.failures, host.pause_s, host.closed_until = 0, BREAK_S, 0.0
            return
        host.failures += 1
        if host.failures >= BREAK_AFTER and host.closed_until <= self._now():
            host.closed_until = self._now() + host.pause_s
            host.pause_s = min(host.pause_s * 2, LONGEST_BREAK_S)


def _host_of(url: str) -> str | None:
    """Return host:port of an http URL in lower case; None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.netloc.rpartition("@")[2].lower() if parts.scheme in ("http", "https") else None
