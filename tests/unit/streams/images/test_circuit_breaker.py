"""Permits of image hosts: so many at once, none while a host is down or too slow."""

import asyncio
import contextlib

import pytest

from streams.images.circuit_breaker import BREAK_AFTER, BREAK_S, PROBES, HostCircuitBreakers
from streams.images.errors import FetchError

URL = "http://Slow.example:8080/a.jpg"
OTHER = "http://quick.example/a.jpg"
DOWN = FetchError("image_timeout", "no answer", transient=True, host_failed=True)


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def fetch(
    hosts: HostCircuitBreakers, clock: Clock, url: str = URL, *, takes_s: float = 0.1,
    error: FetchError | None = None,
) -> str:  # fmt: skip
    """Take a turn; return ok or the code of what was raised."""
    try:
        async with hosts.permit(url) as permit:
            permit.start()
            clock.now += takes_s
            if error is not None:
                raise error
    except FetchError as raised:
        return raised.code
    return "ok"


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def hosts(clock: Clock) -> HostCircuitBreakers:
    """Give hosts with two permits each and a wait of ten seconds at most."""
    return HostCircuitBreakers(2, 10.0, clock)


async def test_so_many_at_once_and_the_next_when_one_leaves(hosts: HostCircuitBreakers) -> None:
    """Of one host, whatever the case of its name; another has permits of its own."""
    at_once = most = 0

    async def one(url: str) -> None:
        nonlocal at_once, most
        async with hosts.permit(url):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(one(URL if n % 2 else URL.lower()) for n in range(7)))
    assert most == 2
    most = 0
    await asyncio.gather(*(one(url) for url in (URL, URL, OTHER, OTHER)))
    assert most == 4


async def test_after_failures_in_a_row_nothing_is_asked_until_the_pause_is_over(
    hosts: HostCircuitBreakers, clock: Clock
) -> None:
    """Then a few try; while they fail the pause doubles, when it succeeds all may come."""
    for _ in range(BREAK_AFTER):
        assert await fetch(hosts, clock, error=DOWN) == "image_timeout"
    assert await fetch(hosts, clock) == "image_host_down"
    assert await fetch(hosts, clock, OTHER) == "ok"
    assert hosts.open_count() == 1
    clock.now += BREAK_S
    assert await fetch(hosts, clock, error=DOWN) == "image_timeout"
    clock.now += BREAK_S
    assert await fetch(hosts, clock) == "image_host_down"
    clock.now += BREAK_S
    assert await fetch(hosts, clock) == "ok"
    assert await fetch(hosts, clock) == "ok"
    assert hosts.open_count() == 0


async def test_a_few_try_a_host_that_was_down(clock: Clock) -> None:
    """One alone may meet the only slow file; more than a few would wait for it in vain."""
    hosts = HostCircuitBreakers(2 * PROBES, 10.0, clock)
    for _ in range(BREAK_AFTER):
        await fetch(hosts, clock, error=DOWN)
    clock.now += BREAK_S
    async with contextlib.AsyncExitStack() as trying:
        for _ in range(PROBES):
            (await trying.enter_async_context(hosts.permit(URL))).start()
        with pytest.raises(FetchError) as caught:
            await trying.enter_async_context(hosts.permit(URL))
    assert (caught.value.code, caught.value.attempts) == ("image_host_down", 0)
    assert [await fetch(hosts, clock) for _ in range(2 * PROBES)] == ["ok"] * 2 * PROBES


async def test_a_few_that_fail_together_are_one_failed_try(clock: Clock) -> None:
    """The pause doubles once for all of them; one that succeeds ends it."""
    hosts = HostCircuitBreakers(2 * PROBES, 10.0, clock)
    for _ in range(BREAK_AFTER):
        await fetch(hosts, clock, error=DOWN)

    async def probe(error: FetchError | None) -> None:
        with contextlib.suppress(FetchError):
            async with hosts.permit(URL) as permit:
                permit.start()
                await asyncio.sleep(0)
                if error is not None:
                    raise error

    clock.now += BREAK_S
    await asyncio.gather(*(probe(DOWN) for _ in range(PROBES)))
    clock.now += BREAK_S
    assert await fetch(hosts, clock) == "image_host_down"
    clock.now += BREAK_S
    await asyncio.gather(probe(DOWN), probe(None))
    assert await fetch(hosts, clock) == "ok"


@pytest.mark.parametrize("code", ["image_incomplete", "image_http_404", "image_too_large"])
async def test_no_wrong_file_is_a_failure_of_its_host(
    hosts: HostCircuitBreakers, clock: Clock, code: str
) -> None:
    """However many there are in a row, and though another try may help."""
    wrong = FetchError(code, "wrong", transient=True)
    assert [await fetch(hosts, clock, error=wrong) for _ in range(60)] == [code] * 60
    assert await fetch(hosts, clock) == "ok"


async def test_a_worker_out_of_descriptors_says_nothing_of_a_host(
    hosts: HostCircuitBreakers, clock: Clock
) -> None:
    """It neither fails nor answers: the row of failures goes on."""
    ours = FetchError("resources_exhausted", "EMFILE", transient=True, attempts=0)
    for _ in range(BREAK_AFTER - 1):
        await fetch(hosts, clock, error=DOWN)
    assert await fetch(hosts, clock, error=ours) == "resources_exhausted"
    assert await fetch(hosts, clock, error=DOWN) == "image_timeout"
    assert await fetch(hosts, clock) == "image_host_down"


async def test_a_missing_image_is_no_failure_of_its_host(
    hosts: HostCircuitBreakers, clock: Clock
) -> None:
    """A 404 is an answer; it ends a row of failures as an image does."""
    missing = FetchError("image_http_404", "absent")
    for _ in range(3):
        for _ in range(BREAK_AFTER - 1):
            await fetch(hosts, clock, error=DOWN)
        assert await fetch(hosts, clock, error=missing) == "image_http_404"
    assert await fetch(hosts, clock) == "ok"


async def test_who_would_wait_too_long_is_refused_at_once(
    hosts: HostCircuitBreakers, clock: Clock
) -> None:
    """At 8 s an image and two at once, the third would wait 4 s or more, the fifth over 10 s."""
    assert await fetch(hosts, clock, takes_s=8.0) == "ok"
    async with contextlib.AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(hosts.permit(URL))
        waiting = [asyncio.create_task(fetch(hosts, clock, takes_s=8.0)) for _ in range(4)]
        await asyncio.sleep(0)
        codes = [task.result() for task in waiting if task.done()]
        assert codes == ["image_host_busy"] * 2
    assert sorted([await task for task in waiting]) == ["image_host_busy"] * 2 + ["ok"] * 2


async def test_waiting_for_memory_is_not_the_hosts_doing(
    hosts: HostCircuitBreakers, clock: Clock
) -> None:
    """The time before `begin` does not make a host slow."""
    async with hosts.permit(URL) as permit:
        clock.now += 60.0
        permit.start()
        clock.now += 0.1
    async with hosts.permit(URL), hosts.permit(URL):
        waiting = [asyncio.create_task(fetch(hosts, clock)) for _ in range(50)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    assert [await task for task in waiting] == ["ok"] * 50


async def test_a_file_has_no_host(hosts: HostCircuitBreakers, clock: Clock) -> None:
    """Nor has an inline image, or what is no URL: their own fault is theirs to tell."""
    for url in ("file:///a", "blob:00", "", "http://[::1/x"):
        for _ in range(BREAK_AFTER + 1):
            assert await fetch(hosts, clock, url, error=DOWN) == "image_timeout"
