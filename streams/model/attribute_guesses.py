"""Attribute guessing in a worker: trained heads from a file, or zero-shot by the taxonomy."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from streams.config.settings import Settings
from visualsearch.attributes.guesser import Guesser
from visualsearch.attributes.store import built_in, load
from visualsearch.attributes.taxonomy import DEFAULT, read_attribute_taxonomy
from visualsearch.encoders.protocol import Encoder
from visualsearch.types import Guess

log = logging.getLogger(__name__)
OFF, BUILT_IN = "off", "built-in"


def build_guesser(settings: Settings, encoder: Encoder) -> Guesser | None:
    """Return the guesser that the settings name; None if guessing is off.

    Without trained heads a model guesses only if its temperatures were calibrated. Raises
    AttributesError, TaxonomyError.
    """
    least = settings.attribute_confidence
    if settings.attributes == OFF:
        return None
    if settings.attributes != BUILT_IN:
        return load(Path(settings.attributes), encoder.model_id, least)
    taxonomy = read_attribute_taxonomy(settings.attribute_taxonomy or DEFAULT)
    found = built_in(encoder.model_id, encoder.encode_texts, taxonomy, least)
    if found is None:
        log.info(
            "no attributes are guessed: %s has no calibrated temperatures; "
            "run `visualsearch attributes train`",
            encoder.model_id,
        )
    return found


def guess_from_bytes(
    guesser: Guesser | None,
) -> Callable[[Sequence[bytes]], Mapping[str, Guess]] | None:
    """Return a guesser of vectors as the log carries them: float16, little-endian."""
    if guesser is None:
        return None

    def guess(vectors: Sequence[bytes]) -> Mapping[str, Guess]:
        if not vectors:
            return {}
        return guesser(np.stack([np.frombuffer(one, "<f2") for one in vectors]).astype(np.float32))

    return guess
