"""Guessed attributes through the topics: kept with the product, filtered on, told how sure."""

import json
from pathlib import Path as Folder
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.tools.broker import BrokerInfo
from tests.support.fakes import FakeEncoder
from tests.support.harness import inline, picture, running_path
from tests.support.path_events import created
from tests.support.relevance_sets import write_split
from visualsearch.attributes.guesser import Guesser, Head
from visualsearch.attributes.store import save


@pytest.fixture
def heads(tmp_path: Folder) -> Folder:
    """Write heads for the fake encoder that know two images' colors."""
    rows = FakeEncoder().encode_images([picture(1), picture(2)])
    path = tmp_path / "heads.npz"
    save(path, Guesser("fake", (Head("color", ("red", "blue"), rows, 0.1),)))
    return path


async def test_a_guess_is_found_by_filter_and_the_catalogues_own_wins(
    kafka: BrokerInfo, tmp_path: Folder, heads: Folder
) -> None:
    """Through the topics, from event to hit; an update that names the color takes over."""
    async with running_path(kafka.bootstrap, tmp_path, attributes=str(heads)) as path:
        await path.publish(
            created("guessed", inline(1)),
            created("own", inline(1), attributes={"color": "black"}),
            created("other", inline(2)),
        )
        await path.settled()

        async def of_color(value: str) -> list[Any]:
            found = await path.search(text="anything", filters={"attributes": {"color": value}})
            assert found.status == "ok", found.error
            return found.hits

        (hit,) = await of_color("red")
        assert hit.product_id == "guessed"
        assert hit.attributes == {}
        assert hit.guessed["color"].value == "red"
        assert 0.5 <= hit.guessed["color"].confidence <= 1.0
        (hit,) = await of_color("black")
        assert (hit.product_id, hit.guessed) == ("own", {})
        await path.publish(created("guessed", inline(1), attributes={"color": "wine"}))
        await path.settled()
        assert await of_color("red") == []
        assert [hit.product_id for hit in await of_color("wine")] == ["guessed"]
        await path.publish(created("guessed", inline(2)))
        await path.settled()
        assert sorted(hit.product_id for hit in await of_color("blue")) == ["guessed", "other"]


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_colour_on_real_photos_by_words_and_by_a_trained_head(
    data_dir: Folder, tmp_path: Folder
) -> None:
    """On styles that neither encoder nor head has seen: .78 by words, .88 trained, both meant."""
    train, test = write_split(data_dir.absolute(), tmp_path)
    done = CliRunner().invoke(
        main,
        ["attributes", "train", "--from", str(train), "--test", str(test), "--encoder", "lite",
         "--group-by", "style_group", "--out", str(tmp_path / "heads.npz"), "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = {one["name"]: one for one in json.loads(done.stdout)["attributes"]}
    for name, one in found.items():
        for head in (one["trained"], one["zero_shot"]):
            print(f"{name:10}{head['source']:10} accuracy {head['accuracy']:.3f}, "
                  f"calibration error {head['calibration_error']:.3f}")  # fmt: skip
    assert found["color"]["zero_shot"]["accuracy"] >= 0.78
    assert found["color"]["trained"]["accuracy"] >= 0.88
    assert found["color"]["trained"]["calibration_error"] <= 0.10
    assert found["pattern"]["trained"]["accuracy"] > found["pattern"]["zero_shot"]["accuracy"]
