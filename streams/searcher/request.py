"""A request spelt out: its shorthands, its filters, and what its parts may not be together."""

from dataclasses import dataclass

from streams.searcher.images import RequestError
from visualsearch.contracts.search import QueryImage, QuerySpec, SearchFilters, SearchRequest
from visualsearch.types import Filters


@dataclass(frozen=True, slots=True)
class QueryParts:
    """What a request shows and says, after its shorthands are spelt out."""

    images: list[tuple[str, QueryImage]]
    texts: list[tuple[str, str, float | None]]


def spell_out(request: SearchRequest) -> QueryParts:
    """Spell out the shorthands `image`, `text` and `text_weight`, each part with its field."""
    query = request.query
    images = [(f"query.images[{n}]", image) for n, image in enumerate(query.images)]
    texts = [(f"query.texts[{n}]", t.text, t.weight) for n, t in enumerate(query.texts)]
    if query.image is not None:
        is_url = query.image.startswith(("http://", "https://", "file:"))
        spelt = QueryImage(url=query.image) if is_url else QueryImage(data=query.image)
        images.append(("query.image", spelt))
    if query.text is not None:
        texts.append(("query.text", query.text, query.text_weight))
    elif query.text_weight is not None:
        raise RequestError("field_invalid", "query.text_weight needs query.text: add it",
                           "query.text_weight")  # fmt: skip
    for field, text, _ in texts:
        if not text.strip():
            raise RequestError("field_invalid", f"{field}: no words; say some or drop it", field)
    _check_mode(request, len(images))
    return QueryParts(images, texts)


def _check_mode(request: SearchRequest, images: int) -> None:
    """Refuse what has no meaning in the request's mode, rather than pass over it."""
    if request.mode == "search":
        if request.boxes:
            _refuse("boxes", "only mode look takes boxes")
        return
    if images != 1:
        _refuse("query", f"mode look takes one picture, not {images}")
    for field in ("similar_to", "vector"):
        if getattr(request.query, field) is not None:
            _refuse(f"query.{field}", "mode look searches by a picture and words; leave it out")
    if request.explain:
        _refuse("explain", "mode look is not explained; explain a search of one region")
    for field in ("background", "crops", "align"):
        if getattr(request.preprocess, field):
            _refuse(f"preprocess.{field}", "mode look cuts the photo itself; leave it out")


def _refuse(field: str, text: str) -> None:
    raise RequestError("field_invalid", f"{field}: {text}", field)


def likened(query: QuerySpec) -> list[tuple[str, str]]:
    """Return (field, product id) of each product that the query names."""
    if query.similar_to is None:
        return []
    if isinstance(query.similar_to, str):
        return [("query.similar_to", query.similar_to)]
    return [(f"query.similar_to[{n}]", each) for n, each in enumerate(query.similar_to)]


def to_filters(request: SearchRequest) -> Filters:
    """Return the request's filters as the engine takes them.

    The products of `similar_to` are no answers to themselves.
    """
    given: SearchFilters = request.filters
    return Filters(
        category=tuple(given.category),
        brand=tuple(given.brand),
        tags=tuple(given.tags),
        price_min=given.price_min,
        price_max=given.price_max,
        in_stock=given.in_stock,
        attributes=given.attributes,
        exclude=frozenset(given.exclude) | {name for _, name in likened(request.query)},
        image_kind=request.image_kind,
    )
