"""Compare the expected state of a product with the served one."""

from collections import Counter
from collections.abc import Iterator

from streams.tools.fsck.history import Claim, ExpectedImages, ExpectedProduct, newest
from streams.tools.fsck.report import Finding
from streams.tools.fsck.values import (
    OfferFields,
    Order,
    Orders,
    ProductFields,
    ServedImage,
    ServedProduct,
    format_position,
)

KINDS = ("base", "offer", "vectors")
CategorizedFinding = tuple[str, Finding]
"""A category and what was found."""
_NOTHING = ExpectedProduct()


def must_be_searchable(expected: ExpectedProduct) -> bool:
    """Return whether it is searchable whichever unconfirmed claims took effect."""
    base, vectors = expected.base, expected.vectors
    return (
        any(claim.confirmed for claim in base)
        and any(claim.confirmed for claim in vectors)
        and all(_is_live(claim) for claim in base)
        and all(
            isinstance(c.state, ExpectedImages) and c.state.certain > 0
            for c in vectors
            if c.confirmed
        )
        and all(isinstance(c.state, ExpectedImages) and c.state.images for c in vectors)
    )


def may_be_searchable(expected: ExpectedProduct) -> bool:
    """Return whether it is searchable if the unconfirmed claims took effect in its favor."""
    images = any(isinstance(c.state, ExpectedImages) and c.state.images for c in expected.vectors)
    return images and any(_is_live(claim) for claim in expected.base)


def differences(
    product_id: str, expected: ExpectedProduct | None, served: ServedProduct | None
) -> list[CategorizedFinding]:
    """Return the differences of a product; empty if it is served as its events say."""
    truth = expected or _NOTHING
    found = served is not None and served.searchable
    if found and not may_be_searchable(truth):
        return [
            ("resurrected", Finding(_resurrected_text(truth), product_id, _deciding_source(truth)))
        ]
    if not found and must_be_searchable(truth):
        return [("lost", Finding(_lost_text(served), product_id, _losing_source(truth, served)))]
    if served is None:
        served = ServedProduct(product_id, searchable=False, orders=Orders())
    twice = _duplicated_image(truth.vectors, served.images)
    if twice:
        text = f"image {twice!r} is there more than once"
        return [("duplicated", Finding(text, product_id, _source(truth.vectors)))]
    return [
        ("stale", Finding(text, product_id, _source(truth.of(kind))))
        for kind in KINDS
        for text in _state_differences(kind, truth.of(kind), served)
    ]


def matching(claims: list[Claim], served: ServedProduct, kind: str = "vectors") -> Claim | None:
    """Return the claim that a kind's served state matches."""
    order: Order | None = getattr(served.orders, kind)
    fitting = (c for c in claims if c.order == order and _fits(c.state, served))
    return next(fitting, None)


def _state_differences(kind: str, claims: list[Claim], served: ServedProduct) -> Iterator[str]:
    """Yield at most one text: how the served state of a kind differs from every claim."""
    order: Order | None = getattr(served.orders, kind)
    if order is None and not any(claim.confirmed for claim in claims):
        return
    if matching(claims, served, kind) is not None:
        return
    claim = newest(claims)
    if claim is None:
        yield f"{kind}: order {order} is served, no event of that kind is known"
    elif order is None:
        yield f"{kind}: nothing is served, order {claim.order} is expected"
    elif order != claim.order:
        age = "older" if order < claim.order else "newer"
        yield f"{kind}: order {order} is served, {age} than the expected {claim.order}"
    else:
        yield f"{kind}: {_difference(claim.state, served)}"


def _fits(expected: ProductFields | OfferFields | ExpectedImages, served: ServedProduct) -> bool:
    if isinstance(expected, ProductFields):
        return expected == served.base
    if isinstance(expected, OfferFields):
        return expected == served.offer
    inline = {image.image_id for image in expected.images if image.url is None}

    def identity(image: ServedImage) -> tuple[str, str, str | None]:
        # An inline image is served at a URL of the image store, which is unknown here.
        return image.image_id, image.kind, None if image.image_id in inline else image.url

    given, wanted = Counter(map(identity, served.images)), Counter(map(identity, expected.images))
    certain = Counter(
        identity(image)
        for number, image in enumerate(expected.images)
        if number not in expected.doubtful
    )
    return given <= wanted and certain <= given


def _difference(
    expected: ProductFields | OfferFields | ExpectedImages, served: ServedProduct
) -> str:
    if isinstance(expected, ExpectedImages):
        wanted = [image.image_id for image in expected.images]
        return f"images {[i.image_id for i in served.images]} are served, not {wanted} as sent"
    state = served.base if isinstance(expected, ProductFields) else served.offer
    for name in expected.__struct_fields__:
        is_, wanted_ = getattr(state, name, None), getattr(expected, name)
        if is_ != wanted_:
            return f"{name} is {str(is_)[:80]!r}, expected {str(wanted_)[:80]!r}"
    return "differs"


def _duplicated_image(claims: list[Claim], images: list[ServedImage]) -> str | None:
    """Return an image id that is served more often than any event lists it."""
    for image_id, times in Counter(image.image_id for image in images).items():
        listed = [
            sum(image.image_id == image_id for image in claim.state.images)
            for claim in claims
            if isinstance(claim.state, ExpectedImages)
        ]
        if times > max([1, *listed]):
            return image_id
    return None


def _is_live(claim: Claim) -> bool:
    return isinstance(claim.state, ProductFields) and not claim.state.deleted


def _resurrected_text(truth: ExpectedProduct) -> str:
    base = newest(truth.base)
    if base is None:
        return "it is searchable, and no event created it"
    if not _is_live(base):
        return "it is searchable, and its newest event deleted it"
    return "it is searchable, and has no image"


def _deciding_source(truth: ExpectedProduct) -> str | None:
    return _source(truth.base) or _source(truth.vectors) or _source(truth.offer)


def _lost_text(served: ServedProduct | None) -> str:
    if served is None:
        return "the index does not know it"
    if served.base is None:
        return "the index holds no attributes of it"
    if served.base.deleted:
        return f"the index holds it as deleted, by order {served.orders.base}"
    return "the index holds no image of it"


def _losing_source(truth: ExpectedProduct, served: ServedProduct | None) -> str | None:
    live = served is not None and served.base is not None and not served.base.deleted
    return _source(truth.vectors if live else truth.base)


def _source(claims: list[Claim]) -> str | None:
    claim = newest(claims)
    return None if claim is None else format_position(claim.source)
