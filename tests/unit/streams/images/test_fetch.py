"""Fetching: limits, retries and schemes, against a server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from streams.config.settings import load_settings
from streams.images.blobs import BlobStore
from streams.images.errors import FetchedImage, FetchError
from streams.images.fetcher import Fetcher
from streams.metrics import Metrics

LIMIT = 4096
DATE = "Sat, 31 Jan 2026 12:00:00 GMT"


class Host:
    """Answers each path with the next of its scripted statuses; 200 comes with four bytes."""

    def __init__(self) -> None:
        self.script: dict[str, list[int]] = {}
        self.hits = 0
        self.at_once = self.most_at_once = 0
        self.port = 0
        self.elsewhere = ""  # where /to/ANYTHING redirects

    async def handle(self, request: web.Request) -> web.Response:
        """Answer."""
        self.hits += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if request.path == "/slow":
                await asyncio.sleep(0.05)
            if request.path.startswith("/to/"):
                raise web.HTTPFound(self.elsewhere)
            if request.headers.get("If-None-Match") == '"e"' or (
                request.path == "/dated" and request.headers.get("If-Modified-Since") == DATE
            ):
                return web.Response(status=304)
            if request.path == "/dated":
                return web.Response(body=b"pict", headers={"Last-Modified": DATE})
            statuses = self.script.get(request.path, [200])
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            return web.Response(status=status, body=b"pict", headers={"ETag": '"e"'})
        finally:
            self.at_once -= 1

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """Give a server."""
    host = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", host.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.port = runner.addresses[0][1]
    yield host
    await runner.cleanup()


Make = Callable[..., Fetcher]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Give a maker of fetchers, whose pauses are noted in `pauses` instead of slept."""
    made: list[Fetcher] = []

    def build(pauses: list[float] | None = None, **settings: Any) -> Fetcher:
        async def sleep(seconds: float) -> None:
            (pauses if pauses is not None else []).append(seconds)

        given = {"data_dir": tmp_path, "image_max_bytes": LIMIT, "fetch_allow": ("127.0.0.1",)}
        chosen = load_settings(**(given | settings))
        blobs = BlobStore(str(tmp_path / "blobs"))
        made.append(Fetcher(chosen, blobs, Metrics(CollectorRegistry()), sleep))
        return made[-1]

    yield build
    for fetcher in made:
        await fetcher.close()


async def failure(fetcher: Fetcher, url: str) -> FetchError:
    """Return how a fetch fails."""
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url)
    return caught.value


async def test_an_image_comes_with_its_etag(host: Host, make: Make) -> None:
    """The bytes and what the host calls this version of them."""
    fetched = await make().fetch(host.url("/a"))
    assert (fetched.data, fetched.etag) == (b"pict", '"e"')


@pytest.mark.parametrize("path", ["/a", "/dated"])
async def test_a_version_that_is_known_is_not_sent_again(host: Host, make: Make, path: str) -> None:
    """By its ETag, or else by its date; another version comes whole."""
    fetcher = make()
    known = await fetcher.fetch(host.url(path))
    assert await fetcher.fetch_changed(host.url(path), known) is None
    other = FetchedImage(b"", etag=known.etag and '"old"', modified=known.modified and "never")
    assert await fetcher.fetch_changed(host.url(path), other) == known
    assert host.hits == 3


async def test_a_304_that_nobody_asked_for_is_no_image(host: Host, make: Make) -> None:
    """Nothing is known that it could speak of."""
    host.script["/a"] = [304]
    assert (await failure(make(), host.url("/a"))).code == "image_http_304"


@pytest.mark.parametrize(
    ("elsewhere", "code"),
    [
        ("http://169.254.169.254/latest/meta-data/", "image_url_forbidden"),
        ("http://[::1]/", "image_url_forbidden"),
        ("http://127.0.0.2/", "image_url_forbidden"),
        ("http://2130706433/", "image_url_invalid"),
        ("file:///etc/hostname", "image_url_invalid"),
        ("/to/again", "image_url_invalid"),
    ],
)
async def test_a_redirect_leads_nowhere_that_is_forbidden(
    host: Host, make: Make, elsewhere: str, code: str
) -> None:
    """Each hop is judged as the first; such an answer is final."""
    host.elsewhere = elsewhere
    error = await failure(make(), host.url("/to/x"))
    assert (error.code, error.attempts, error.transient) == (code, 1, False)


async def test_nothing_local_is_asked_unless_a_setting_allows_it(host: Host, make: Make) -> None:
    """By default a worker asks only the public internet; the error names the setting."""
    error = await failure(make(fetch_allow=()), host.url("/a"))
    assert (error.code, error.transient, host.hits) == ("image_url_forbidden", False, 0)
    assert "fetch_allow" in str(error)


async def test_a_host_that_stops_talking_is_a_timeout_before_all_time_is_up(
    host: Host, make: Make
) -> None:
    """Unless who asks has patience of its own; the limit on the whole fetch is another."""
    whole = await failure(make(fetch_timeout_s=0.01), host.url("/slow"))
    assert (whole.code, whole.transient) == ("image_timeout", True)
    error = await failure(make(fetch_read_timeout_s=0.01), host.url("/slow"))
    assert (error.code, error.attempts, error.transient) == ("image_timeout", 3, True)
    patient = make(fetch_read_timeout_s=0.01)
    assert (await patient.fetch(host.url("/slow"), timeout_s=10.0)).data == b"pict"


async def test_object_stores_are_read_below_their_roots_only(make: Make) -> None:
    """Through fsspec, up to the limit, and not by dots."""
    store = fsspec.filesystem("memory")
    for name, data in {"shop/a.jpg": b"pict", "shop/big": bytes(LIMIT + 1), "b.jpg": b"no"}.items():
        store.pipe_file(f"/{name}", data)
    fetcher = make(store_roots=("memory://shop",))
    assert (await fetcher.fetch("memory://shop/a.jpg")).data == b"pict"
    codes = {"shop/big": "image_too_large", "shop/absent": "image_unreachable",
             "b.jpg": "image_url_invalid", "shop/../b.jpg": "image_url_invalid",
             "shopping/a.jpg": "image_url_invalid"}  # fmt: skip
    for name, code in codes.items():
        assert (await failure(fetcher, f"memory://{name}")).code == code
    store.rm("/shop", recursive=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_with_growing_pauses(
    host: Host, make: Make, status: int
) -> None:
    """Twice failed, then there: three requests, two pauses, the second longer on average."""
    host.script["/a"] = [status, status, 200]
    pauses: list[float] = []
    assert (await make(pauses).fetch(host.url("/a"))).data == b"pict"
    assert host.hits == 3
    assert 0.1 <= pauses[0] <= 0.3
    assert 0.2 <= pauses[1] <= 0.6


async def test_what_stays_broken_is_given_up_after_the_attempts(host: Host, make: Make) -> None:
    """The error says how often it was tried, and that it may pass."""
    host.script["/a"] = [503]
    error = await failure(make(fetch_attempts=4), host.url("/a"))
    assert (error.code, error.attempts, error.transient, host.hits) == (
        "image_http_503", 4, True, 4)  # fmt: skip


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
async def test_what_will_not_pass_is_asked_once(host: Host, make: Make, status: int) -> None:
    """No retry, a code with the status."""
    host.script["/a"] = [status]
    error = await failure(make(), host.url("/a"))
    assert (error.code, error.attempts, error.transient) == (f"image_http_{status}", 1, False)
    assert host.hits == 1


async def test_no_more_than_the_slots_are_fetched_at_once_and_waiting_is_no_timeout(
    host: Host, make: Make
) -> None:
    """Sixty images of 50 ms, two at a time, each with a second: all arrive."""
    fetcher = make(fetch_concurrency=2, fetch_timeout_s=1.0)
    found = await asyncio.gather(*(fetcher.fetch(host.url("/slow")) for _ in range(60)))
    assert len(found) == 60
    assert host.most_at_once == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://x/a", "image_url_invalid"),
        ("", "image_url_invalid"),
        ("picture.jpg", "image_url_invalid"),
        ("http://[", "image_url_invalid"),
        ("file:///etc/hostname", "image_url_forbidden"),
        ("blob:" + "0" * 64, "image_unreachable"),
        ("blob:../x", "image_unreachable"),
        ("http://127.0.0.1:1/", "image_unreachable"),
    ],
)
async def test_other_urls_fail_with_a_code(make: Make, url: str, code: str) -> None:
    """Nothing but http, https, allowed files and own blobs is read."""
    assert (await failure(make(), url)).code == code


async def test_a_blob_that_is_not_stored_yet_may_be_had_later(make: Make) -> None:
    """It is named before it is stored; what is no name of a blob never can be had."""
    assert (await failure(make(), "blob:" + "0" * 64)).transient
    assert not (await failure(make(), "blob:../x")).transient


async def test_files_below_a_root_are_read_up_to_the_limit(make: Make, tmp_path: Path) -> None:
    """Percent-encoding is undone; `..` and links do not lead out."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "a b.jpg").write_bytes(b"pict")
    (root / "big.jpg").write_bytes(bytes(LIMIT + 1))
    (tmp_path / "out.jpg").write_bytes(b"secret")
    fetcher = make(file_roots=(root,))
    assert (await fetcher.fetch((root / "a b.jpg").as_uri())).data == b"pict"
    assert (await failure(fetcher, (root / "big.jpg").as_uri())).code == "image_too_large"
    assert (await failure(fetcher, f"file://{root}/../out.jpg")).code == "image_url_forbidden"
    assert (await failure(fetcher, f"file://{root}/%2e%2e/out.jpg")).code == "image_url_forbidden"
