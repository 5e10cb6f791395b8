"""Heads for attributes from a catalog's own labels, in the file that a worker loads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streams.tools.evaluation.shop import LocalIndex
from visualsearch.attributes import heads
from visualsearch.attributes.guesser import Guesser, Head, zero_shot
from visualsearch.attributes.heads import LabeledProduct
from visualsearch.attributes.store import AttributesError
from visualsearch.attributes.taxonomy import GuessableAttribute
from visualsearch.encoders.protocol import Encoder

CATEGORY = "category"
_PAGE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LearnedAttribute:
    """One attribute of the catalog: both heads, measured alike, and which one is kept."""

    trained: Head
    zero_shot: Head
    kept: Head


def labeled_products(shop: LocalIndex, group_by: str | None) -> list[LabeledProduct]:
    """Return a shop's products with their own attributes, and their category as one of these.

    `group_by` names the attribute that products of a style share; else a product is its own.
    """
    found = []
    for product_id in _ids(shop):
        both = shop.engine.product_with_vectors(product_id)
        if both is None or both[0].base is None or not len(both[1]):
            continue
        base = both[0].base
        labels = {name: value for name, value in base.attributes.items() if value.strip()}
        group = labels.pop(group_by, product_id) if group_by else product_id
        if base.category:
            labels.setdefault(CATEGORY, base.category)
        found.append(LabeledProduct(np.asarray(both[1]), labels, group))
    return found


def learn(
    encoder: Encoder,
    products: Sequence[LabeledProduct],
    taxonomy: Sequence[GuessableAttribute],
    others: Sequence[LabeledProduct] = (),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Guesser, list[LearnedAttribute]]:
    """Train what can be learned; attributes of the taxonomy without labels stay zero-shot.

    With `others`, the figures are of these, and so is the choice between the two heads;
    without, of cross-validation. Raises AttributesError if nothing can be learned.
    """
    encode_texts = encoder.encode_texts
    known = {attribute.name: attribute for attribute in taxonomy}
    found = []
    wanted = heads.learnable_attributes(products)
    for number, (name, values) in enumerate(wanted.items()):
        progress(number, len(wanted))
        try:
            trained, zero = heads.train(products, name, values, known.get(name), encode_texts)
        except ValueError:  # all of one style: nothing would be left to measure on
            continue
        if others:
            trained = heads.measure(trained, others) or trained
            zero = heads.measure(zero, others) or zero
        kept = trained if (trained.accuracy or 0) >= (zero.accuracy or 0) else zero
        found.append(LearnedAttribute(trained, zero, kept))
    if not found:
        raise AttributesError(
            f"no attribute has two values of {heads.FEWEST} products each: nothing to learn from"
        )
    temperatures = {one.zero_shot.name: one.zero_shot.temperature for one in found}
    rest = [attribute for attribute in taxonomy if attribute.name not in temperatures]
    guesser = Guesser(
        encoder.model_id,
        (*(one.kept for one in found), *zero_shot(rest, encode_texts, temperatures)),
    )
    return guesser, found


def _ids(shop: LocalIndex) -> Iterator[str]:
    start = 0
    while states := shop.engine.list_products(start, _PAGE):
        yield from (state.product_id for state in states)
        start += len(states)
