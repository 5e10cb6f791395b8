"""Which addresses an image may come from, and that the address connected to is the one judged."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from streams.config.allow_list import AllowList
from streams.images.connections import LOOKUPS, ForbiddenAddressError, Resolver, guarded_connector

FORBIDDEN = (
    "0.0.0.0", "0.1.2.3",  # noqa: S104 - nothing is bound to it
    "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.1.1", "198.18.0.1",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.254",
    "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101",
)  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_only_we_can_reach_is_forbidden(address: str) -> None:
    """Loopback, private, link-local, metadata, multicast, and IPv6 disguises of each."""
    assert not AllowList().allows_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    """Also where an IPv6 address leads to a public IPv4 one."""
    assert AllowList().allows_address(address)


@given(st.ip_addresses(v=4))
def test_a_disguise_changes_nothing(address: Any) -> None:
    """An IPv4 address in IPv6 clothes is judged as itself."""
    allowed, number = AllowList(), int(address)
    mapped = f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    nat64 = f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"
    plain = allowed.allows_address(str(address))
    assert allowed.allows_address(mapped) == allowed.allows_address(nat64) == plain


def test_a_setting_allows_networks_addresses_and_names() -> None:
    """And nothing beside them."""
    allowed = AllowList(["10.1.0.0/16", "127.0.0.1", "fd00::/8", "Minio.Pictures."])
    assert all(
        allowed.allows_address(a) for a in ("10.1.2.3", "127.0.0.1", "fd00::5", "::ffff:10.1.2.3")
    )
    assert not any(
        allowed.allows_address(a) for a in ("10.2.0.1", "127.0.0.2", "::1", "169.254.169.254")
    )
    assert allowed.allows_host("minio.pictures")
    assert allowed.allows_host("MINIO.pictures.")
    assert not allowed.allows_host("evil.minio.pictures")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "1.2.3", "http://x/", "", "a b"])
def test_a_setting_that_makes_no_sense_is_refused(text: str) -> None:
    """Rather than allow nothing, or too much, in silence."""
    with pytest.raises(ValueError, match="no network"):
        AllowList([text])


Lookup = Callable[..., list[Any]]


def answers(*addresses: str) -> Lookup:
    """Return a name server that knows one answer."""

    def lookup(_: str, port: int, **__: Any) -> list[Any]:
        kinds = {a: socket.AF_INET6 if ":" in a else socket.AF_INET for a in addresses}
        return [(kind, socket.SOCK_STREAM, 6, "", (a, port)) for a, kind in kinds.items()]

    return lookup


@asynccontextmanager
async def browser(lookup: Lookup, *allowed: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client whose connections are guarded."""
    rules = AllowList(allowed)
    resolver = Resolver(rules, lookup)
    async with aiohttp.ClientSession(connector=guarded_connector(rules, resolver, 10)) as client:
        yield client
    await resolver.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Give the port of a server on loopback."""
    app = web.Application()

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def refused(client: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a request is refused for its address; it must not succeed."""
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await client.get(url)
    return isinstance(caught.value.os_error, ForbiddenAddressError)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "pictures.example"]
)
async def test_no_connection_is_made_to_a_forbidden_address(host: str, port: int) -> None:
    """By a name that leads there or by the address itself, which no resolver ever sees."""
    async with browser(answers("127.0.0.1")) as client:
        assert await refused(client, f"http://{host}:{port}/")


async def test_a_name_with_several_forbidden_addresses_is_forbidden(port: int) -> None:
    """Of different kinds, too."""
    async with browser(answers("127.0.0.1", "10.0.0.1", "::1")) as client:
        assert await refused(client, f"http://pictures.example:{port}/")


async def test_an_allowed_name_may_lead_anywhere_and_no_other_name_with_it(port: int) -> None:
    """It is the name that is trusted, not the address that it has today."""
    async with browser(answers("127.0.0.1"), "minio") as client:
        for _ in range(2):  # the second look-up is the connector's cached one
            async with client.get(f"http://minio:{port}/", headers={"Connection": "close"}) as got:
                assert await got.text() == "secret"
        assert await refused(client, f"http://pictures.example:{port}/")


async def test_a_name_server_with_two_answers_wins_nothing(port: int) -> None:
    """Public when it is first asked, private afterwards: each connection is judged (rebinding)."""
    given = iter(["192.0.2.1", *["127.0.0.1"] * 9])  # the first is reserved for documentation

    def lookup(host: str, at: int, **more: Any) -> list[Any]:
        return answers(next(given))(host, at, **more)

    async with browser(lookup) as client:
        for _ in range(3):
            assert await refused(client, f"http://rebinding.example:{port}/")


async def test_name_servers_that_hang_leave_other_threads_alone() -> None:
    """Look-ups have threads of their own: the event loop's are still free."""
    gate = threading.Event()

    def hanging(*_: Any, **__: Any) -> list[Any]:
        gate.wait()
        return []

    resolver = Resolver(AllowList(), hanging)
    waiting = [asyncio.create_task(resolver.resolve(f"h{n}")) for n in range(2 * LOOKUPS)]
    try:
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert not any(task.done() for task in waiting)
    finally:
        gate.set()
        await asyncio.gather(*waiting)
        await resolver.close()
