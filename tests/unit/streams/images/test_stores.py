"""Files below `file_roots`: what is no file is refused at once, what hangs keeps nobody waiting."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.config.settings import load_settings
from streams.images import stores as stored
from streams.images.blobs import BlobStore
from streams.images.circuit_breaker import BREAK_AFTER, HostCircuitBreakers
from streams.images.errors import FetchError
from streams.images.fetcher import Fetcher
from streams.images.places import absolute_folders, matching_root
from streams.images.stores import READERS
from streams.metrics import Metrics

LIMIT = 4096
Make = Callable[..., Fetcher]


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Give two folders with an image each."""
    made = (tmp_path / "hung", tmp_path / "good")
    for root in made:
        root.mkdir()
        (root / "a.jpg").write_bytes(b"pict")
    return made


@pytest.fixture
async def make(roots: tuple[Path, Path], tmp_path: Path) -> AsyncIterator[Make]:
    """Give a maker of fetchers that read both folders."""
    made: list[Fetcher] = []

    def build(**settings: Any) -> Fetcher:
        given: dict[str, Any] = {"data_dir": tmp_path, "image_max_bytes": LIMIT}
        chosen = load_settings(**given, file_roots=roots, **settings)
        blobs = BlobStore(str(tmp_path / "blobs"))
        made.append(Fetcher(chosen, blobs, Metrics(CollectorRegistry())))
        return made[-1]

    yield build
    for fetcher in made:
        await fetcher.close()


async def failure(fetcher: Fetcher, path: Path) -> FetchError:
    """Return how the fetch of a file fails."""
    with pytest.raises(FetchError) as caught:
        await asyncio.wait_for(fetcher.fetch(path.as_uri()), 5)
    return caught.value


def pipe(path: Path) -> None:
    """Make a pipe that nobody writes to."""
    os.mkfifo(path)


def listening(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize("special", [pipe, listening, Path.mkdir])
async def test_what_is_no_regular_file_is_refused_at_once(
    make: Make,
    roots: tuple[Path, Path],
    special: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pipe without a writer kept a reader for as long as the worker lived."""
    monkeypatch.chdir(roots[0])  # the path of a socket is short
    special(roots[0] / "odd.jpg")
    fetcher = make()
    for _ in range(READERS + 1):
        error = await failure(fetcher, roots[0] / "odd.jpg")
        assert (error.code, error.transient) == ("image_url_invalid", False)
    assert "no regular file" in str(error)
    assert (await fetcher.fetch((roots[0] / "a.jpg").as_uri())).data == b"pict"


async def test_what_becomes_a_pipe_before_it_is_opened_is_refused_too(
    make: Make, roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is looked at, not what the name stood for."""
    pipe(roots[0] / "odd.jpg")
    regular = os.lstat(roots[0] / "a.jpg")
    seen = os.lstat
    monkeypatch.setattr(
        stored.os, "lstat", lambda path: regular if str(path).endswith("odd.jpg") else seen(path)
    )
    error = await failure(make(), roots[0] / "odd.jpg")
    assert (error.code, error.transient) == ("image_url_invalid", False)


async def test_a_file_that_grows_is_read_up_to_the_limit(
    make: Make, roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever size it had when it was looked at."""
    growing = roots[0] / "growing.jpg"
    growing.write_bytes(b"")
    opened = os.open

    def growing_open(path: Any, flags: int) -> int:
        os.truncate(growing, 2**40)
        return opened(path, flags)

    monkeypatch.setattr(stored.os, "open", growing_open)
    assert (await failure(make(), growing)).code == "image_too_large"


@pytest.mark.parametrize(
    ("number", "code", "transient", "host_failed", "attempts"),
    [
        (errno.EIO, "image_unreachable", True, True, 1),
        (errno.ESTALE, "image_unreachable", True, True, 1),
        (errno.EMFILE, "resources_exhausted", True, False, 0),
        (errno.ENOENT, "image_unreachable", False, False, 1),
        (errno.EACCES, "image_unreachable", False, False, 1),
        (errno.ENAMETOOLONG, "image_unreachable", False, False, 1),
    ],
)
async def test_an_error_of_the_system_tells_whose_fault_it_is(
    make: Make,
    roots: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
    transient: bool,
    host_failed: bool,
    attempts: int,
) -> None:
    """A mount's passes, a worker's own was no try, and the file's is for good."""

    def fail(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(stored.os, "open", fail)
    error = await failure(make(), roots[0] / "a.jpg")
    found = (error.code, error.transient, error.host_failed, error.attempts)
    assert found == (code, transient, host_failed, attempts)


class Mount:
    """A folder whose files hang when they are opened."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.back = threading.Event()
        self.opened = 0
        open_file = os.open

        def hanging(path: Any, flags: int) -> int:
            if Path(path).is_relative_to(folder):
                self.opened += 1
                self.back.wait(30)
            return open_file(path, flags)

        monkeypatch.setattr(stored.os, "open", hanging)


async def test_a_hung_mount_keeps_no_other_folder_waiting(
    make: Make, roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readers are its own; once all hang nothing more is asked of it, until they are back."""
    mount = Mount(roots[0], monkeypatch)
    fetcher = make(fetch_timeout_s=0.3, fetch_concurrency=2)
    hung, good = (root / "a.jpg" for root in roots)
    asked = [asyncio.create_task(failure(fetcher, hung)) for _ in range(3 * READERS)]
    await asyncio.sleep(0)
    for _ in range(10):
        assert (await asyncio.wait_for(fetcher.fetch(good.as_uri()), 5)).data == b"pict"
    errors = await asyncio.gather(*asked)
    told = sorted((error.code, error.attempts, error.host_failed) for error in errors)
    assert told == [("image_host_down", 0, False)] * 2 * READERS + [
        ("image_timeout", 1, True)] * READERS  # fmt: skip
    assert (await failure(fetcher, hung)).code == "image_host_down"
    assert mount.opened == READERS
    mount.back.set()
    for _ in range(100):
        try:
            assert (await fetcher.fetch(hung.as_uri())).data == b"pict"
            break
        except FetchError:
            await asyncio.sleep(0.05)
    else:
        pytest.fail("the folder is not read again")


async def test_who_gives_up_waiting_for_a_reader_takes_none_along(
    make: Make, roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request past its deadline, before and behind others."""
    mount = Mount(roots[0], monkeypatch)
    fetcher = make(fetch_timeout_s=30.0)
    url = (roots[0] / "a.jpg").as_uri()
    reading = [asyncio.create_task(fetcher.fetch(url)) for _ in range(READERS + 4)]
    await asyncio.sleep(0.05)
    for task in (*reading[:3], *reading[-2:]):
        task.cancel()
    await asyncio.sleep(0.05)
    mount.back.set()
    found = await asyncio.gather(*reading, return_exceptions=True)
    assert [isinstance(each, BaseException) for each in found].count(True) == 5
    again = await asyncio.gather(*(fetcher.fetch(url) for _ in range(3 * READERS)))
    assert len(again) == 3 * READERS


@pytest.mark.parametrize("out", ["/..", "/%2e%2e", "/x/../..", "/../good/.."])
async def test_nothing_outside_of_the_folders_is_touched(
    make: Make, roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    """A mount elsewhere may hang: `..` in a URL led there before its folder was checked."""
    touched: list[Path] = []
    resolve = Path.resolve

    def noted(self: Path, *, strict: bool = False) -> Path:
        touched.append(self)
        return resolve(self, strict=strict)

    fetcher = make()
    monkeypatch.setattr(Path, "resolve", noted)
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(f"file://{roots[1]}{out}/elsewhere/a.jpg")
    assert caught.value.code == "image_url_forbidden"
    assert touched == []


def test_a_file_url_belongs_to_the_folder_that_it_leads_to() -> None:
    """Whose readers and breaker it takes, by its text alone."""
    roots = absolute_folders([Path("/a"), Path("/net/../b")])
    assert roots == [Path("/a"), Path("/b")]
    found = {url: matching_root(f"file://{url}", roots)
             for url in ("/a/x", "//a/x", "/a/../b/x", "/a/%2e%2e/b/x", "/a/../c/x", "/ab/x", "")
             }  # fmt: skip
    assert found == {
        "/a/x": roots[0],
        "//a/x": roots[0],
        "/a/../b/x": roots[1],
        "/a/%2e%2e/b/x": roots[1],
        "/a/../c/x": None,
        "/ab/x": None,
        "": None,
    }


async def test_a_link_out_of_a_folder_is_refused(make: Make, roots: tuple[Path, Path]) -> None:
    """What its text does not show is found when it is followed."""
    (roots[1].parent / "out.jpg").write_bytes(b"secret")
    (roots[1] / "link.jpg").symlink_to(roots[1].parent / "out.jpg")
    assert (await failure(make(), roots[1] / "link.jpg")).code == "image_url_forbidden"


async def test_a_folder_is_a_host_with_a_breaker_of_its_own(roots: tuple[Path, Path]) -> None:
    """So its images take no places in memory while it hangs, and it is asked again by a few."""
    hosts = HostCircuitBreakers(8, 10.0, roots=roots)
    hung, good = ((root / "a.jpg").as_uri() for root in roots)
    failed = FetchError("image_timeout", "no answer", transient=True, host_failed=True)
    for _ in range(BREAK_AFTER):
        with contextlib.suppress(FetchError):
            async with hosts.permit(hung) as permit:
                permit.start()
                raise failed
    with pytest.raises(FetchError, match="not asked"):
        async with hosts.permit(hung):
            pass
    async with hosts.permit(good):
        assert hosts.open_count() == 1
