"""The built-in detector on real street photos that nothing was tuned on: see tests/bench."""

from collections import Counter
from pathlib import Path

import pytest

from tests.bench.bench_look import Ways, found_of, photos
from visualsearch import load_encoder
from visualsearch.encoders.images import decode_image
from visualsearch.search.look.regions import Photo

STEP = 8  # of 80 photos every eighth: half a minute of a core


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_garments_are_found_twice_as_often_as_by_fixed_crops(data_dir: Path) -> None:
    """And named right, by six in ten, where the app gives the boxes."""
    encoder = load_encoder("lite")
    ways, hits, there = Ways(encoder), Counter[str](), 0
    for data, garments in photos(data_dir / "street", "report", STEP):
        image = decode_image(data)
        photo = Photo(image, encoder.encode_images([image])[0])
        assert ways.detector.scene(photo).name == "outfit"
        there += len(garments)
        for way, _, regions in ways.found(photo):
            assert len(regions) <= 8
            hits[way] += sum(found_of(garments, regions))
        if garments:
            (_, _, named), *_ = ways.named(photo, garments)
            pairs = zip(garments, named, strict=True)
            hits["given"] += sum(category == region.category for (category, _), region in pairs)
    assert there >= 10
    assert hits["built in"] >= 2 * hits["eight crops"], hits
    assert hits["built in"] / there >= 0.4, hits  # 0.61 on all eighty
    assert hits["given"] / there >= 0.5, hits  # 0.70 on all eighty
