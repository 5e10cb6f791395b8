"""Connections to allowed addresses only.

The check is made at socket creation, with the address that is connected to. It covers host names,
literal addresses, redirects and cached look-ups. No second look-up follows the check, which
prevents DNS rebinding.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from streams.config.allow_list import AllowList

LOOKUPS = 16  # names looked up at the same time


class ForbiddenAddressError(PermissionError):
    """A connection to an address that is neither public nor allowed.

    All have the same text: the connector raises only the first of several.
    """

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


class _AllowedByName(str):
    """An address of a host that is allowed by name: marks it for the socket check."""

    __slots__ = ()


class Resolver(AbstractResolver):
    """Resolves names on its own threads: hanging name servers must not block other threads."""

    def __init__(
        self, allowed: AllowList, lookup: Callable[..., list[Any]] = socket.getaddrinfo
    ) -> None:
        self._allowed = allowed
        self._lookup = lookup
        self._pool = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        look = partial(self._lookup, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._pool, look)
        mark = _AllowedByName if self._allowed.allows_host(host) else str
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host, host=mark(at[0]), port=port, family=kind, proto=proto, flags=numeric
            )
            for kind, _, proto, _, at in found
        ]

    async def close(self) -> None:
        """Abandon running look-ups."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def guarded_connector(allowed: AllowList, resolver: Resolver, at_once: int) -> aiohttp.TCPConnector:
    """Return a connector whose sockets are made for allowed addresses only."""

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, at = info
        if not isinstance(at[0], _AllowedByName) and not allowed.allows_address(at[0]):
            raise ForbiddenAddressError
        return socket.socket(family, kind, proto)

    return aiohttp.TCPConnector(resolver=resolver, socket_factory=make_socket, limit=at_once)
