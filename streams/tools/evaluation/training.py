"""Train attribute classifiers (heads) on a catalog's own labels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streams.tools.evaluation.local_index import LocalIndex
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
    """One attribute of the catalog: both heads, measured alike, and the better one."""

    trained: Head
    zero_shot: Head
    kept: Head


def labeled_products(local_index: LocalIndex, group_by: str | None) -> list[LabeledProduct]:
    """Return the products with vectors; their labels are their attributes and category.

    `group_by` names the attribute that products of a style share; without it, each product is a
    group.
    """
    found = []
    for product_id in _ids(local_index):
        both = local_index.engine.product_with_vectors(product_id)
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
    """Train heads for attributes with enough labels; others of the taxonomy stay zero-shot.

    The better of the two heads is kept, measured on `others`, or by cross-validation without
    them. Raises AttributesError if no attribute has enough labels.
    """
    encode_texts = encoder.encode_texts
    known = {attribute.name: attribute for attribute in taxonomy}
    found = []
    wanted = heads.learnable_attributes(products)
    for number, (name, values) in enumerate(wanted.items()):
        progress(number, len(wanted))
        try:
            trained, zero = heads.train(products, name, values, known.get(name), encode_texts)
        except ValueError:  # all products are of one style: none is left to measure on
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


def _ids(local_index: LocalIndex) -> Iterator[str]:
    start = 0
    while states := local_index.engine.list_products(start, _PAGE):
        yield from (state.product_id for state in states)
        start += len(states)
