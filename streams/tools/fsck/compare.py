"""One product as its events say it must be, beside the same product as it is served."""

from collections import Counter
from collections.abc import Iterator

from streams.tools.fsck.history import Claim, Expected, Pictures, newest
from streams.tools.fsck.report import Finding
from streams.tools.fsck.values import Attributes, Order, Orders, Picture, Served, Terms, place

KINDS = ("base", "offer", "vectors")
Difference = tuple[str, Finding]
"""A category and what was found."""
_NOTHING = Expected()


def must_be_searchable(expected: Expected) -> bool:
    """Return whether it is searchable whichever of its doubtful claims came true."""
    base, vectors = expected.base, expected.vectors
    return (
        any(claim.settled for claim in base)
        and any(claim.settled for claim in vectors)
        and all(_live(claim) for claim in base)
        and all(isinstance(c.says, Pictures) and c.says.certain > 0 for c in vectors if c.settled)
        and all(isinstance(c.says, Pictures) and c.says.images for c in vectors)
    )


def may_be_searchable(expected: Expected) -> bool:
    """Return whether it is searchable if the doubtful claims come true in its favor."""
    pictured = any(isinstance(c.says, Pictures) and c.says.images for c in expected.vectors)
    return pictured and any(_live(claim) for claim in expected.base)


def differences(
    product_id: str, expected: Expected | None, served: Served | None
) -> list[Difference]:
    """Return what is wrong with a product: nothing, if all is as its events say."""
    truth = expected or _NOTHING
    found = served is not None and served.searchable
    if found and not may_be_searchable(truth):
        return [("resurrected", Finding(_why_not(truth), product_id, _decider(truth)))]
    if not found and must_be_searchable(truth):
        return [("lost", Finding(_how_lost(served), product_id, _loser(truth, served)))]
    if served is None:
        served = Served(product_id, searchable=False, orders=Orders())
    twice = _twice(truth.vectors, served.images)
    if twice:
        text = f"image {twice!r} is there more than once"
        return [("duplicated", Finding(text, product_id, _source(truth.vectors)))]
    return [
        ("stale", Finding(text, product_id, _source(truth.of(kind))))
        for kind in KINDS
        for text in _misfits(kind, truth.of(kind), served)
    ]


def matching(claims: list[Claim], served: Served, kind: str = "vectors") -> Claim | None:
    """Return the claim that a kind's served state fulfils."""
    order: Order | None = getattr(served.orders, kind)
    fitting = (c for c in claims if c.order == order and _fits(c.says, served))
    return next(fitting, None)


def _misfits(kind: str, claims: list[Claim], served: Served) -> Iterator[str]:
    """Yield at most one text: how the served state of a kind differs from every claim."""
    order: Order | None = getattr(served.orders, kind)
    if order is None and not any(claim.settled for claim in claims):
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
        yield f"{kind}: {_difference(claim.says, served)}"


def _fits(says: Attributes | Terms | Pictures, served: Served) -> bool:
    if isinstance(says, Attributes):
        return says == served.base
    if isinstance(says, Terms):
        return says == served.offer
    inline = {image.image_id for image in says.images if image.url is None}

    def look(image: Picture) -> tuple[str, str, str | None]:
        # Of bytes that came in the event the URL is the image store's, and not known here.
        return image.image_id, image.kind, None if image.image_id in inline else image.url

    given, wanted = Counter(map(look, served.images)), Counter(map(look, says.images))
    certain = Counter(look(i) for n, i in enumerate(says.images) if n not in says.doubtful)
    return given <= wanted and certain <= given


def _difference(says: Attributes | Terms | Pictures, served: Served) -> str:
    if isinstance(says, Pictures):
        wanted = [image.image_id for image in says.images]
        return f"images {[i.image_id for i in served.images]} are served, not {wanted} as sent"
    state = served.base if isinstance(says, Attributes) else served.offer
    for name in says.__struct_fields__:
        is_, wanted_ = getattr(state, name, None), getattr(says, name)
        if is_ != wanted_:
            return f"{name} is {str(is_)[:80]!r}, expected {str(wanted_)[:80]!r}"
    return "differs"


def _twice(claims: list[Claim], images: list[Picture]) -> str | None:
    """Return an image's id that is served more often than any event says it."""
    for image_id, times in Counter(image.image_id for image in images).items():
        said = [
            sum(image.image_id == image_id for image in claim.says.images)
            for claim in claims
            if isinstance(claim.says, Pictures)
        ]
        if times > max([1, *said]):
            return image_id
    return None


def _live(claim: Claim) -> bool:
    return isinstance(claim.says, Attributes) and not claim.says.deleted


def _why_not(truth: Expected) -> str:
    base = newest(truth.base)
    if base is None:
        return "it is found, and no event ever created it"
    if not _live(base):
        return "it is found, and its last event of that kind deleted it"
    return "it is found, and has no image"


def _decider(truth: Expected) -> str | None:
    return _source(truth.base) or _source(truth.vectors) or _source(truth.offer)


def _how_lost(served: Served | None) -> str:
    if served is None:
        return "the index does not know it"
    if served.base is None:
        return "the index holds no attributes of it"
    if served.base.deleted:
        return f"the index holds it as deleted, by order {served.orders.base}"
    return "the index holds no image of it"


def _loser(truth: Expected, served: Served | None) -> str | None:
    live = served is not None and served.base is not None and not served.base.deleted
    return _source(truth.vectors if live else truth.base)


def _source(claims: list[Claim]) -> str | None:
    claim = newest(claims)
    return None if claim is None else place(claim.source)
