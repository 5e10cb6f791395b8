"""Hosts of images at their worst, while the rest of the catalog goes on."""

from pathlib import Path as Folder

from streams.tools.broker import BrokerInfo
from tests.support.fakes import jpeg
from tests.support.harness import facts, picture, running_path
from tests.support.path_events import created
from tests.support.pictures import PictureHost, bomb
from tests.support.waiting import until
from visualsearch.contracts.events import ImageSource

GOOD = 40
FOREVER_S = 600.0


async def test_the_others_are_searchable_while_bad_hosts_still_hang(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Each bad image has a code of its own; those that hang keep nobody waiting.

    A host that hangs is given all the time there is: whatever becomes searchable did not wait
    for it.
    """
    async with (
        PictureHost() as bad,
        PictureHost() as good,
        running_path(
            kafka.bootstrap, tmp_path, image_max_bytes=4 * 2**20, retry_delays_s=(),
            fetch_timeout_s=FOREVER_S, fetch_read_timeout_s=FOREVER_S,
        ) as path,
    ):  # fmt: skip
        hanging = [bad.url("/slow/1.jpg"), bad.url("/slow/2.jpg"), bad.url("/trickle")]
        failing = {
            "image_too_large": bad.url("/huge/chunked"),
            "image_url_forbidden": bad.url("/metadata"),
            "image_url_invalid": bad.url("/loop"),
            "image_incomplete": bad.url("/lying/long"),
            "image_not_an_image": bad.put("page.jpg", b"<html>Please log in</html>"),
            "image_truncated": bad.put("cut.jpg", jpeg((9, 9, 9), 64)[:200]),
            "image_too_many_pixels": bad.put("bomb.png", bomb()),
            "image_http_404": bad.url("/status/404"),
            "image_http_500": bad.url("/status/500"),
        }
        bad.put("flaky.jpg", picture(500))
        recovering = bad.url("/flaky/1/flaky.jpg")  # 500, then the image
        events = [created(f"hangs-{n}", ImageSource(url=url)) for n, url in enumerate(hanging)]
        for n in range(GOOD):
            url = good.put(f"{n}.jpg", picture(n))
            events.append(created(f"good-{n}", ImageSource(url=url)))
        events += [created(code, ImageSource(url=url)) for code, url in failing.items()]
        events.append(created("recovers", ImageSource(url=recovering)))
        await path.publish(*events)

        names = [f"good-{n}" for n in range(GOOD)] + ["recovers"]

        def searchable(name: str) -> bool:
            state = path.engine.product(name)
            return state is not None and bool(state.searchable)

        await until(lambda: all(map(searchable, names)))

        await until(lambda: len(path.dead_letters()) == len(failing))
        told = {(x.key() or b"").decode(): facts(x)["code"] for x in path.dead_letters()}
        assert told == {code: code for code in failing}
        assert all(bad.hits[f"/slow/{n}.jpg"] == 1 for n in (1, 2))
        assert bad.hits["/trickle"] == 1
        assert path.metric("fetch_seconds_count", outcome="image_timeout") == 0
        assert not any(searchable(f"hangs-{n}") for n in range(len(hanging)))


async def test_wrong_files_starve_no_good_ones_of_their_host(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """60 of each, the wrong ones first: every good one is searchable, each wrong one is told.

    24 good ones were not asked for in 8.5 minutes, and 25 were dead-lettered unasked.
    """
    async with (
        PictureHost() as host,
        running_path(
            kafka.bootstrap, tmp_path, retry_delays_s=(0.2, 0.2),
            fetch_timeout_s=30.0, retry_timeout_s=30.0,
        ) as path,
    ):  # fmt: skip
        wrong = [created(f"wrong-{n}", ImageSource(url=host.url(f"/lying/long?{n}")))
                 for n in range(60)]  # fmt: skip
        good = [created(f"good-{n}", ImageSource(url=host.put(f"{n}.jpg", picture(n))))
                for n in range(60)]  # fmt: skip
        await path.publish(*wrong, *good)

        def searchable(number: int) -> bool:
            state = path.engine.product(f"good-{number}")
            return state is not None and bool(state.searchable)

        await until(lambda: all(map(searchable, range(60))))
        await until(lambda: len(path.dead_letters()) == len(wrong))
        told = {(x.key() or b"").decode(): facts(x)["code"] for x in path.dead_letters()}
        assert told == {f"wrong-{n}": "image_incomplete" for n in range(60)}
        assert all(host.hits[f"/ok/{n}.jpg"] == 1 for n in range(60))
