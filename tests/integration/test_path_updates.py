"""What becomes of a product, event by event, in `explicit` order on a real broker."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, facts, inline, running_path
from tests.support.path_events import created, deleted, offer, updated

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give one worker to all tests of this file; each has images and products of its own."""
    folder = tmp_path_factory.mktemp("updates")
    async with running_path(kafka.bootstrap, folder, order_mode="explicit") as path:
        yield path


async def test_a_created_product_is_found_by_its_picture_with_all_its_attributes(
    path: Path,
) -> None:
    """One event in, one hit out, with everything that the event said."""
    event = created("new", inline(1, image_id="front"), version=1, title="Linen shirt",
                    brand="Acme", category="Shirts", tags=["linen"], attributes={"fit": "slim"},
                    url="https://shop.example/new", price=29.9, currency="EUR",
                    in_stock=True)  # fmt: skip
    await path.publish(event)
    await path.settled()
    (hit,) = await path.showing(1)
    assert (hit.product_id, hit.title, hit.brand, hit.category) == (
        "new", "Linen shirt", "Acme", "Shirts")  # fmt: skip
    assert (hit.image_id, hit.url, hit.attributes) == (
        "front", "https://shop.example/new", {"fit": "slim"})  # fmt: skip
    assert (hit.price, hit.currency, hit.in_stock) == (29.9, "EUR", True)


async def test_an_offer_changes_price_and_stock_and_nothing_else_without_the_model(
    path: Path,
) -> None:
    """`product-offer-updated` replaces the whole offer: an absent currency is gone."""
    await path.publish(created("offer", inline(2), version=1, title="Bag", price=10.0,
                               currency="EUR", in_stock=True))  # fmt: skip
    await path.settled()
    seen = path.encoder.images_seen
    await path.publish(offer("offer", version=2, price=8.0, in_stock=False))
    await path.settled()
    (state,) = [path.engine.product("offer")]
    assert (state.offer.price, state.offer.currency, state.offer.in_stock) == (8.0, None, False)
    assert state.base.title == "Bag"
    assert path.encoder.images_seen == seen
    (hit,) = await path.showing(2)
    assert hit.price == 8.0


async def test_an_update_with_the_same_pictures_calls_no_model(path: Path) -> None:
    """The record is written anew, from vectors that are known by their content."""
    await path.publish(created("same", inline(3), version=1, price=10.0))
    await path.settled()
    seen = path.encoder.images_seen
    await path.publish(updated("same", inline(3), version=2, title="Renamed", price=7.0))
    await path.settled()
    assert path.encoder.images_seen == seen
    (hit,) = await path.showing(3)
    assert (hit.title, hit.price) == ("Renamed", 7.0)
    assert path.engine.product("same").vectors_order[0] == 2


async def test_an_update_without_price_leaves_the_offer_and_removes_absent_attributes(
    path: Path,
) -> None:
    """The event carries the whole product; only the offer may be left out of it."""
    await path.publish(
        created(
            "partial",
            inline(4),
            version=1,
            price=10.0,
            in_stock=True,
            brand="Acme",
            category="Bags",
            tags=["red"],
            attributes={"size": "L"},
        ),
        updated("partial", inline(4), version=2),
    )
    await path.settled()
    (hit,) = await path.showing(4)
    assert (hit.price, hit.in_stock) == (10.0, True)
    assert (hit.brand, hit.category, hit.attributes) == (None, None, {})


async def test_a_new_picture_replaces_the_old_one(path: Path) -> None:
    """The old vector is gone once the new one is there."""
    await path.publish(created("image", inline(5), version=1))
    await path.settled()
    assert await path.names_showing(5) == ["image"]
    await path.publish(updated("image", inline(6), version=2))
    await path.settled()
    assert await path.names_showing(6) == ["image"]
    assert await path.names_showing(5) == []


async def test_a_delete_removes_and_a_later_create_brings_back(path: Path) -> None:
    """What was deleted is not found; created again with a newer version, it is."""
    await path.publish(created("phoenix", inline(7), version=1, price=5.0))
    await path.settled()
    await path.publish(deleted("phoenix", version=2))
    await path.settled()
    assert await path.names_showing(7) == []
    await path.publish(created("phoenix", inline(7), version=3))
    await path.settled()
    (hit,) = await path.showing(7)
    assert hit.price is None  # the offer was deleted as well


async def test_late_events_do_not_bring_a_deleted_product_back(path: Path) -> None:
    """An update or offer that is older than the delete changes nothing, whenever it comes."""
    await path.publish(created("gone", inline(8), version=1))
    await path.publish(deleted("gone", version=5))
    await path.settled()
    await path.publish(updated("gone", inline(8), version=4), offer("gone", version=3, price=1.0))
    await path.settled()
    assert await path.names_showing(8) == []
    assert not path.engine.product("gone").searchable


async def test_duplicates_change_nothing(path: Path) -> None:
    """The same event three times, then an older one: one product, one vector, the newest state."""
    event = created("twice", inline(9), version=2, price=2.0)
    await path.publish(event, event)
    await path.settled()
    vectors = path.engine.stats().vectors
    await path.publish(event, created("twice", inline(10), version=1, price=1.0))
    await path.settled()
    assert path.engine.stats().vectors == vectors
    (hit,) = await path.showing(9)
    assert (hit.product_id, hit.price) == ("twice", 2.0)
    assert await path.names_showing(10) == []


async def test_the_order_decides_on_one_topic_not_the_sequence(path: Path) -> None:
    """Versions 3, 1, 2 one by one: 3 stands."""
    for version in (3, 1, 2):
        await path.publish(
            updated("mixed", inline(10 + version), version=version, title=f"v{version}")
        )
        await path.settled()
    (hit,) = await path.showing(13)
    assert hit.title == "v3"
    assert await path.names_showing(11) == await path.names_showing(12) == []


async def test_the_order_decides_across_topics_per_type(path: Path) -> None:
    """A delete that overtakes its product's create and update on other topics still wins."""
    topics = path.topics
    await path.publish(deleted("across", version=3), topic=topics.product_deleted)
    await path.settled()
    await path.publish(created("across", inline(14), version=1), topic=topics.product_created)
    await path.publish(updated("across", inline(14), version=2), topic=topics.product_updated)
    await path.publish(offer("across", version=2, price=1.0), topic=topics.product_offer_updated)
    await path.settled()
    assert await path.names_showing(14) == []
    await path.publish(created("across", inline(14), version=4), topic=topics.product_created)
    await path.settled()
    assert await path.names_showing(14) == ["across"]


async def test_an_offer_may_come_before_its_product(path: Path) -> None:
    """The price waits; the product is found, with it, once it is created."""
    await path.publish(offer("early", version=2, price=3.0))
    await path.settled()
    assert not path.engine.product("early").searchable
    await path.publish(created("early", inline(15), version=1))
    await path.settled()
    (hit,) = await path.showing(15)
    assert hit.price == 3.0


async def test_a_product_without_pictures_is_kept_and_not_found(path: Path) -> None:
    """`images: []` removes the images; the next update shows it again."""
    await path.publish(created("bare", inline(16), version=1))
    await path.publish(updated("bare", version=2))
    await path.settled()
    assert await path.names_showing(16) == []
    assert path.engine.product("bare").base is not None
    await path.publish(updated("bare", inline(16), version=3))
    await path.settled()
    assert await path.names_showing(16) == ["bare"]


async def test_several_pictures_are_one_hit_that_names_the_best(path: Path) -> None:
    """Grouped by product; `image_kind` narrows the images that count."""
    event = created(
        "views", inline(17, image_id="front"), inline(18, image_id="worn", kind="lifestyle"),
        inline(19), version=1,
    )  # fmt: skip
    await path.publish(event)
    await path.settled()
    for number, image_id in ((17, "front"), (18, "worn"), (19, "2")):
        (hit,) = await path.showing(number)
        assert (hit.product_id, hit.image_id) == ("views", image_id)
    lifestyle = await path.search(text="anything", image_kind="lifestyle", top_k=1000)
    assert [(hit.product_id, hit.image_id) for hit in lifestyle.hits] == [("views", "worn")]


async def test_events_without_a_version_are_dead_lettered_in_explicit_order(path: Path) -> None:
    """A null delete among them: it cannot have a version."""
    await path.publish(created("kept", inline(20), version=1))
    await path.publish(created("unversioned", inline(21)))
    await path.publish_raw(b"kept", None)
    await path.settled()
    assert await path.names_showing(20) == ["kept"]
    assert await path.names_showing(21) == []
    found = {letter.key(): facts(letter) for letter in path.dead_letters()}
    assert found[b"unversioned"]["code"] == found[b"kept"]["code"] == "version_missing"
    assert found[b"kept"]["stage"] == "order"
