"""Images that cannot be had or used: one dead letter each, and everything else goes on."""

import base64
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from tests.support.fakes import jpeg
from tests.support.harness import Path, facts, inline, picture, running_path
from tests.support.path_events import created, updated
from tests.support.pictures import PictureHost, bomb
from tests.support.waiting import until
from visualsearch.contracts.events import ImageSource

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOISE = bytes(range(256)) * 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[PictureHost]:
    """Give an image host."""
    async with PictureHost() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give one worker to all tests of this file; it may read files below `open`."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "open").mkdir()
    (folder / "closed.jpg").write_bytes(picture(1))
    (folder / "open" / "here.jpg").write_bytes(picture(2))
    (folder / "open" / "link.jpg").symlink_to(folder / "closed.jpg")
    roots = (folder / "open",)
    async with running_path(
        kafka.bootstrap, folder, file_roots=roots, image_max_bytes=4 * 2**20, fetch_timeout_s=4.0
    ) as path:
        yield path


def letters(path: Path, product_id: str) -> list[dict[str, str]]:
    """Return what the dead letters of a product say, by the number of the image."""
    found = [facts(x) for x in path.dead_letters() if x.key() == product_id.encode()]
    return sorted(found, key=lambda x: int(re.findall(r"images\[(\d+)\]", x["message"])[0]))


async def test_a_picture_by_url_is_fetched_and_found(path: Path, host: PictureHost) -> None:
    """By http is the usual way to an image; its ETag is remembered."""
    await path.publish(created("by-url", ImageSource(url=host.put("a.jpg", picture(100)))))
    await path.settled()
    assert await path.names_showing(100) == ["by-url"]
    assert letters(path, "by-url") == []


async def test_a_host_that_fails_and_recovers_is_asked_again(path: Path, host: PictureHost) -> None:
    """500 twice, then the image: no dead letter, three requests."""
    host.put("b.jpg", picture(101))
    await path.publish(created("flaky", ImageSource(url=host.url("/flaky/2/b.jpg"))))
    await path.settled()
    assert await path.names_showing(101) == ["flaky"]
    assert host.hits["/flaky/2/b.jpg"] == 3
    assert letters(path, "flaky") == []


async def test_each_bad_picture_is_a_dead_letter_and_the_good_ones_are_indexed(
    path: Path, host: PictureHost
) -> None:
    """Many ways to fail beside one image that does not."""
    text = base64.b64encode(b"these are words, not a picture").decode()
    bad = {
        "image_unreachable": ImageSource(url="http://127.0.0.1:1/x.jpg"),
        "image_http_404": ImageSource(url=host.url("/status/404")),
        "image_http_500": ImageSource(url=host.url("/status/500")),
        "image_timeout": ImageSource(url=host.url("/slow/x.jpg")),
        "image_not_an_image": ImageSource(url=host.put("text.jpg", b"not a picture at all")),
        "image_url_forbidden": ImageSource(url=(path.settings.data_dir / "closed.jpg").as_uri()),
        "image_too_many_pixels": ImageSource(url=host.put("bomb.png", bomb())),
        "image_incomplete": ImageSource(url=host.url("/lying/long")),
        "image_data_invalid": ImageSource(data="§§§"),
    }
    more = [
        ("image_too_large", ImageSource(url=host.url("/huge/announced"))),
        ("image_too_large", ImageSource(url=host.url("/huge/chunked"))),
        ("image_timeout", ImageSource(url=host.url("/trickle"))),
        ("image_url_forbidden", ImageSource(url=host.url("/metadata"))),
        ("image_url_forbidden", ImageSource(url="http://169.254.169.254/latest/meta-data/")),
        ("image_url_forbidden", ImageSource(url="http://[::ffff:169.254.169.254]/")),
        ("image_truncated", ImageSource(url=host.url("/lying/short"))),
        ("image_truncated", ImageSource(url=host.put("cut.jpg", jpeg((9, 9, 9), 64)[:200]))),
        ("image_not_an_image", ImageSource(data=text)),
        ("image_url_invalid", ImageSource(url="ftp://127.0.0.1/x.jpg")),
        ("image_url_invalid", ImageSource(url="http://[::1/x.jpg")),
        ("image_url_invalid", ImageSource(url=host.url("/loop"))),
        ("image_url_forbidden", ImageSource(
            url=(path.settings.data_dir / "open" / "link.jpg").as_uri())),
        ("image_unreachable", ImageSource(
            url=(path.settings.data_dir / "open" / "absent.jpg").as_uri())),
        ("image_too_large", ImageSource(
            data=base64.b64encode(NOISE * 1025).decode())),  # 2 MiB and 2 KiB
    ]  # fmt: skip
    wanted = [*bad.items(), *more]
    sources = [source for _, source in wanted]
    await path.publish(created("mostly-bad", *sources, inline(102)))
    await path.settled()
    assert await path.names_showing(102) == ["mostly-bad"]
    found = letters(path, "mostly-bad")
    assert [letter["code"] for letter in found] == [code for code, _ in wanted]
    for number, letter in enumerate(found):
        assert letter["message"].startswith(f"product.images[{number}]: "), letter
        assert letter["stage"] in ("fetch", "image")


async def test_a_picture_that_has_not_changed_is_not_sent_again(
    path: Path, host: PictureHost
) -> None:
    """Its host is asked whether it is still the one; a changed one under its URL is embedded."""
    url = host.put("same.jpg", picture(110))
    seen = path.encoder.images_seen
    for title in ("First", "Second", "Third"):
        await path.publish(updated("same", ImageSource(url=url), title=title))
        await path.settled()
    assert (host.hits["/ok/same.jpg"], host.spared["/ok/same.jpg"]) == (3, 2)
    assert path.encoder.images_seen == seen + 1
    assert [hit.title for hit in await path.showing(110)] == ["Third"]
    host.put("same.jpg", picture(111))
    await path.publish(updated("same", ImageSource(url=url)))
    await path.settled()
    assert await path.names_showing(111) == ["same"]
    assert await path.names_showing(110) == []


async def test_the_same_bytes_are_embedded_once(path: Path, host: PictureHost) -> None:
    """Whichever product shows them, from whatever URL, at the same time or later."""
    seen = path.encoder.images_seen
    urls = [host.put(f"copy-{n}.jpg", picture(112)) for n in range(3)]
    await path.publish(
        created("copy-0", ImageSource(url=urls[0]), ImageSource(url=urls[1])),
        created("copy-1", ImageSource(url=urls[2]), inline(112)),
    )
    await path.settled()
    await path.publish(created("copy-2", ImageSource(url=urls[0])))
    await path.settled()
    assert path.encoder.images_seen == seen + 1
    assert sorted(await path.names_showing(112)) == ["copy-0", "copy-1", "copy-2"]


async def test_when_no_new_picture_can_be_had_the_old_ones_stay(
    path: Path, host: PictureHost
) -> None:
    """The words change at once; the product stays findable by the image it had."""
    await path.publish(created("stays", inline(103), title="Old"))
    await path.settled()
    await path.publish(updated("stays", ImageSource(url=host.url("/status/404")), title="New"))
    await path.settled()
    (hit,) = await path.showing(103)
    assert (hit.product_id, hit.title) == ("stays", "New")
    assert [letter["code"] for letter in letters(path, "stays")] == ["image_http_404"]


async def test_the_old_pictures_stay_whatever_shares_a_batch(path: Path, host: PictureHost) -> None:
    """A create and an update with a bad image, published together, end like one by one."""
    await path.publish(
        created("together", inline(104)),
        updated("together", ImageSource(url=host.url("/status/404"))),
    )
    await path.settled()
    assert await path.names_showing(104) == ["together"]


async def test_files_are_read_only_below_the_allowed_folders(path: Path) -> None:
    """`file:` is for a catalog on the same disk."""
    here = path.settings.data_dir / "open" / "here.jpg"
    await path.publish(created("file", ImageSource(url=here.as_uri())))
    await path.settled()
    assert await path.names_showing(2) == ["file"]


ODD_URLS = (
    "blob:/closed.jpg", "blob:" + "0" * 64, "blob:", "blob:\0", "file:///%00.jpg", "http://\0/",
    "http://a..b/", "http://1.2.3.4:99999/", "http://", "data:x", "//host/x.jpg", "\u202e",
    "http://user:pw@127.0.0.1:1/", "HTTP://127.0.0.1:1/",
)  # fmt: skip


async def test_no_url_harms_the_lane_or_leaves_its_folders(path: Path) -> None:
    """Odd URLs are dead-lettered with a code; a blob reference reads only the blob store."""
    outside = f"blob:../{path.settings.data_dir.name}/closed.jpg"  # root/../../NAME/closed.jpg
    urls = (outside, *ODD_URLS)
    await path.publish(created("odd", *(ImageSource(url=url) for url in urls), inline(107)))
    await path.settled()
    codes = ("image_url_invalid", "image_unreachable", "image_url_forbidden")
    found = letters(path, "odd")
    assert [letter["message"].partition(":")[0] for letter in found] == [
        f"product.images[{number}]" for number in range(len(urls))
    ]
    assert {letter["code"] for letter in found} <= set(codes)
    assert await path.names_showing(107) == ["odd"]
    assert await path.names_showing(1) == []  # that is closed.jpg


async def test_a_product_beyond_every_limit_does_not_stop_the_lanes(path: Path) -> None:
    """10 MB of attributes are a dead letter, never a halt."""
    fat = {f"name-{n}": "x" * 1000 for n in range(10_200)}
    await path.publish(created("fat", inline(105), attributes=fat))
    await path.publish(created("after-fat", inline(106)))
    await path.settled()
    assert await path.names_showing(106) == ["after-fat"]
    (letter,) = [facts(each) for each in path.dead_letters() if each.key() == b"fat"]
    assert letter["code"] == "field_invalid"
    assert letter["message"].startswith("product.attributes: ")
    assert "(10,200 members)" in letter["message"]


async def test_a_query_by_url_does_not_wait_behind_the_catalogues_pictures(
    path: Path, host: PictureHost
) -> None:
    """Twenty images of a host that hangs hold all its turns for seconds, not the query's."""
    url = host.put("query.jpg", picture(108))
    slow = [ImageSource(url=host.url(f"/slow/{n}.jpg")) for n in range(20)]
    await path.publish(created("hanging", *slow, inline(108)))
    timed_out = path.metric("fetch_seconds_count", outcome="image_timeout")
    await until(lambda: sum(host.hits[f"/slow/{n}.jpg"] for n in range(20)) >= 8)
    result = await path.search(image=url)
    assert result.status == "ok", result.error
    # Not one of the slots that the twenty occupy was free by then.
    assert path.metric("fetch_seconds_count", outcome="image_timeout") == timed_out

    def indexed() -> bool:
        state = path.engine.product("hanging")
        return state is not None and bool(state.searchable)

    await until(indexed)
    # Those that the host was not asked for wait until it is, for as long as that takes.
    assert {x["code"] for x in letters(path, "hanging")} <= {"image_timeout"}
    assert await path.names_showing(108) == ["hanging"]


async def test_fetches_are_counted_by_outcome(path: Path) -> None:
    """The metric tells bad hosts from bad images."""
    for outcome in ("ok", "image_http_404", "image_timeout", "image_too_large"):
        assert path.metric("fetch_seconds_count", outcome=outcome) >= 1, outcome
    assert path.metric("dead_letters_total", code="image_http_404") >= 2
