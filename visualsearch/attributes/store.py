"""Heads as a file: one for each model, and refused for any other."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from visualsearch.attributes.guesser import Guesser, Head, zero_shot
from visualsearch.attributes.taxonomy import GuessableAttribute, Texts, read_attribute_taxonomy
from visualsearch.errors import VisualSearchError

FORMAT = 1
CALIBRATED = Path(__file__).parent / "calibrated.json"
LEAST = 0.5


class AttributesError(VisualSearchError):
    """Heads that cannot be used."""

    code = "attributes_unusable"


def save(path: Path, guesser: Guesser) -> None:
    """Write heads; whoever reads the file sees the old ones or the new ones."""
    arrays = {f"weights-{number}": head.weights for number, head in enumerate(guesser.heads)}
    about = [
        {name: value for name, value in asdict(head).items() if name != "weights"}
        for head in guesser.heads
    ]
    meta = json.dumps({"format": FORMAT, "model": guesser.model, "heads": about})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, meta=np.array(meta), **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load(path: Path, model: str, least: float = LEAST) -> Guesser:
    """Read heads for a model. Raises AttributesError for another model's, or a damaged file."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            meta = json.loads(str(found["meta"]))
            if meta["format"] != FORMAT:
                raise AttributesError(
                    f"{path}: format {meta['format']}, not {FORMAT}: train again with this version"
                )
            heads = tuple(
                Head(
                    about["name"], tuple(about["values"]), found[f"weights-{number}"],
                    about["temperature"], about["source"], about["accuracy"], about["error"],
                    about["products"],
                )
                for number, about in enumerate(meta["heads"])
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise AttributesError(f"{path}: no heads that can be read ({error})") from error
    if meta["model"] != model:
        raise AttributesError(
            f"{path}: trained for {meta['model']}, and the encoder is {model}: train again",
            code="attributes_foreign_model",
        )
    return Guesser(model, heads, least)


def built_in(
    model: str,
    encode_texts: Texts,
    taxonomy: tuple[GuessableAttribute, ...] | None = None,
    least: float = LEAST,
) -> Guesser | None:
    """Return the zero-shot guesser of a model whose temperatures are known, None for others."""
    known = json.loads(CALIBRATED.read_text(encoding="utf-8")).get(model)
    if known is None:
        return None
    temperatures = {name: one["temperature"] for name, one in known.items()}
    heads = zero_shot(taxonomy or read_attribute_taxonomy(), encode_texts, temperatures)
    measured = tuple(
        Head(
            head.name, head.values, head.weights, head.temperature, "zero-shot",
            known.get(head.name, {}).get("accuracy"), known.get(head.name, {}).get("error"),
            known.get(head.name, {}).get("products", 0),
        )
        for head in heads
    )  # fmt: skip
    return Guesser(model, measured, least)
