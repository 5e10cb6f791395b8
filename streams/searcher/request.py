"""Request parsing: expands shorthands, builds filters, rejects invalid combinations."""

from dataclasses import dataclass

from visualsearch.contracts.search import (
    QueryImage,
    QuerySpec,
    SearchFault,
    SearchFilters,
    SearchRequest,
)
from visualsearch.types import Filters


class RequestError(Exception):
    """A request that cannot be answered with hits."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.fault = SearchFault(code, message, field)


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request with expanded shorthands; each query part carries the name of its field."""

    request: SearchRequest
    images: list[tuple[str, QueryImage]]
    texts: list[tuple[str, str, float | None]]
    similar_to: list[tuple[str, str]]  # product ids
    filters: Filters


def parse(request: SearchRequest) -> ParsedRequest:
    """Expand the shorthands of a request. Raises RequestError for invalid combinations."""
    query = request.query
    images = [(f"query.images[{n}]", image) for n, image in enumerate(query.images)]
    texts = [(f"query.texts[{n}]", t.text, t.weight) for n, t in enumerate(query.texts)]
    if query.image is not None:
        is_url = query.image.startswith(("http://", "https://", "file:"))
        image = QueryImage(url=query.image) if is_url else QueryImage(data=query.image)
        images.append(("query.image", image))
    if query.text is not None:
        texts.append(("query.text", query.text, query.text_weight))
    elif query.text_weight is not None:
        raise RequestError("field_invalid", "query.text_weight needs query.text: add it",
                           "query.text_weight")  # fmt: skip
    for field, text, _ in texts:
        if not text.strip():
            raise RequestError("field_invalid", f"{field}: no words; say some or drop it", field)
    _check_mode(request, len(images))
    similar_to = _similar_to(query)
    return ParsedRequest(request, images, texts, similar_to, _filters(request, similar_to))


def _check_mode(request: SearchRequest, images: int) -> None:
    """Refuse fields that have no meaning in the request's mode."""
    if request.mode == "search":
        if request.boxes:
            _refuse("boxes", "only mode look takes boxes")
        return
    if images != 1:
        _refuse("query", f"mode look takes one image, not {images}")
    for field in ("similar_to", "vector"):
        if getattr(request.query, field) is not None:
            _refuse(f"query.{field}", "mode look searches by an image and words; leave it out")
    if request.explain:
        _refuse("explain", "mode look is not explained; explain a search of one region")
    for field in ("background", "crops", "align"):
        if getattr(request.preprocess, field):
            _refuse(f"preprocess.{field}", "mode look cuts the photo itself; leave it out")


def _refuse(field: str, text: str) -> None:
    raise RequestError("field_invalid", f"{field}: {text}", field)


def _similar_to(query: QuerySpec) -> list[tuple[str, str]]:
    if query.similar_to is None:
        return []
    if isinstance(query.similar_to, str):
        return [("query.similar_to", query.similar_to)]
    return [(f"query.similar_to[{n}]", each) for n, each in enumerate(query.similar_to)]


def _filters(request: SearchRequest, similar_to: list[tuple[str, str]]) -> Filters:
    """Return the filters as the engine takes them; a product is not similar to itself."""
    filters: SearchFilters = request.filters
    return Filters(
        category=tuple(filters.category),
        brand=tuple(filters.brand),
        tags=tuple(filters.tags),
        price_min=filters.price_min,
        price_max=filters.price_max,
        in_stock=filters.in_stock,
        attributes=filters.attributes,
        exclude=frozenset(filters.exclude) | {name for _, name in similar_to},
        image_kind=request.image_kind,
    )
