"""Fit the lite encoder's temperatures: `python -m visualsearch.attributes.calibrate PHOTOS`.

PHOTOS holds `luma/` and `clothing/`. One half of the held-out photos fits a temperature for each
labeled attribute, the other half measures it. Writes `calibrated.json` and prints it (two minutes
on two cores).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from visualsearch.attributes.calibration import fit_temperature
from visualsearch.attributes.guesser import Head
from visualsearch.attributes.heads import LabeledProduct, measure
from visualsearch.attributes.store import CALIBRATED
from visualsearch.attributes.taxonomy import GuessableAttribute, read_attribute_taxonomy
from visualsearch.encoders import load_encoder
from visualsearch.encoders.lite.training import photos as lite_photos
from visualsearch.encoders.lite.training.photos import Labels
from visualsearch.encoders.protocol import Encoder

_BATCH = 32
FEWEST = 40  # products to fit an attribute on


def held_out(encoder: Encoder, folder: Path) -> list[LabeledProduct]:
    """Return the products that the lite encoder was not trained on, with the taxonomy's labels."""
    photos = [*lite_photos.luma(folder / "luma"), *lite_photos.clothing(folder / "clothing")]
    unseen = [(labels, data) for labels, data in photos if labels.held_out]
    rows = np.concatenate([
        encoder.encode_images([data for _, data in unseen[start : start + _BATCH]])
        for start in range(0, len(unseen), _BATCH)
    ])  # fmt: skip
    places: dict[str, list[int]] = {}
    for place, (labels, _) in enumerate(unseen):
        places.setdefault(labels.product, []).append(place)
    return [
        LabeledProduct(rows[mine], _labels(unseen[mine[0]][0]), unseen[mine[0]][0].style or name)
        for name, mine in places.items()
    ]


def calibrate_heads(
    taxonomy: Iterable[GuessableAttribute], products: Sequence[LabeledProduct], encoder: Encoder
) -> list[Head]:
    """Return a measured zero-shot head for each attribute with enough labeled products."""
    halves: tuple[list[LabeledProduct], list[LabeledProduct]] = ([], [])
    for product in products:
        halves[lite_photos.digest(product.group) // 2 % 2].append(product)
    found = []
    for attribute in taxonomy:
        values = tuple(attribute.values)
        fitted = [p for p in halves[0] if p.labels.get(attribute.name) in values]
        if len(fitted) < FEWEST:
            continue
        weights = attribute.directions(encoder.encode_texts)
        head = Head(attribute.name, values, weights, 1.0)
        right = [values.index(product.labels[attribute.name]) for product in fitted]
        similarity = [head.similarity(product.vectors) for product in fitted]
        temperature = fit_temperature(similarity, right)
        measured = measure(Head(attribute.name, values, weights, temperature), halves[1])
        if measured is not None:
            found.append(measured)
    return found


def _labels(labels: Labels) -> dict[str, str]:
    found = {"category": labels.kind}
    return found if labels.color is None else found | {"color": labels.color}


def main() -> int:
    """Fit, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder that holds luma/ and clothing/")
    options = parser.parse_args()
    encoder = load_encoder("lite")
    heads = calibrate_heads(read_attribute_taxonomy(), held_out(encoder, options.photos), encoder)
    model = {
        head.name: {
            "temperature": round(head.temperature, 5),
            "accuracy": round(head.accuracy or 0.0, 4),
            "error": round(head.error or 0.0, 4),
            "products": head.products,
        }
        for head in heads
    }
    known = json.loads(CALIBRATED.read_text(encoding="utf-8")) if CALIBRATED.is_file() else {}
    text = json.dumps(known | {encoder.model_id: model}, indent=2) + "\n"
    CALIBRATED.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
