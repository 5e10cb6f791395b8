"""Hypothesis strategies of events and requests as JSON objects, good ones and anything."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.support.malformed import put
from visualsearch.contracts.events import EVENT_TYPES

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return dicts in which each field is absent, null or drawn."""
    return st.fixed_dictionaries(
        {}, optional={name: st.none() | drawn for name, drawn in fields.items()}
    )


weights = st.floats(-100, 100)
prices = st.floats(0, 1e9) | st.integers(0, 10**6)
offers = optional(price=prices, currency=st.sampled_from(["EUR", "USD"]), in_stock=st.booleans())
images = st.builds(
    lambda source, extra, kind: source | extra | kind,
    st.fixed_dictionaries({"url": names}) | st.fixed_dictionaries({"data": texts}),
    optional(image_id=names),
    st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["catalog", "lifestyle"])}),
)
descriptions = st.builds(
    lambda required, extra, offer: required | extra | offer,
    st.fixed_dictionaries(
        {
            "title": names,
            # No two with the same id; those without one are all different.
            "images": st.lists(
                images, max_size=3, unique_by=lambda image: image.get("image_id") or object()
            ),
        }
    ),
    optional(
        description=texts, brand=names, category=names, tags=st.lists(names, max_size=3),
        attributes=st.dictionaries(texts, texts, max_size=3), url=names,
    ),
    offers,
)  # fmt: skip
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis wants naive bounds
    datetime.isoformat
)


@st.composite
def good_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event of any type that should be accepted."""
    name = draw(st.sampled_from(list(EVENT_TYPES)))
    product = {"product_id": draw(names)}
    if name in {"product-created", "product-updated"}:
        product |= draw(descriptions)
    elif name == "product-offer-updated":
        product |= draw(offers)
    event = {
        "event_id": draw(names),
        "event_type": name,
        "occurred_at": draw(moments),
        "product": product,
    }
    return event | draw(optional(version=st.integers(0, 2**63 - 1)))


requests = st.builds(
    lambda request, query, filters: request | {"query": query} | filters,
    st.fixed_dictionaries(
        {"request_id": names},
        optional={
            "top_k": st.integers(1, 1000),
            "deadline_ms": st.integers(1, 600_000),
            "image_kind": st.sampled_from([None, "catalog", "lifestyle"]),
            "mode": st.sampled_from(["search", "look"]),
            "diversity": st.floats(0, 1),
            "collapse_duplicates": st.booleans(),
            "max_regions": st.integers(1, 20),
            "boxes": st.lists(
                st.fixed_dictionaries(
                    {"box": st.builds(list, st.just((0.0, 0.25, 0.5, 1.0)))},
                    optional={"category": names},
                ),
                max_size=2,
            ),
            "preprocess": st.fixed_dictionaries({}, optional={"align": st.booleans()}),
        },
    ),
    st.builds(
        lambda lists, rest: lists | rest,
        st.fixed_dictionaries(
            {},
            optional={
                "images": st.lists(
                    st.fixed_dictionaries({"url": texts}, optional={"weight": weights})
                    | st.fixed_dictionaries({"data": texts}, optional={"url": st.none()}),
                    max_size=2,
                ),
                "texts": st.lists(
                    st.fixed_dictionaries({"text": names}, optional={"weight": weights}),
                    max_size=2,
                ),
            },
        ),
        optional(
            similar_to=names | st.lists(names, min_size=1, max_size=2),
            vector=st.lists(st.floats(-1, 1), min_size=1, max_size=3),
            image=texts, text=names, text_weight=weights,
        ),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "filters": st.fixed_dictionaries(
                {},
                optional={
                    "category": st.lists(texts, max_size=2),
                    "price_min": st.none() | st.floats(0, 10),
                    "price_max": st.none() | st.floats(10, 99),
                    "in_stock": st.none() | st.booleans(),
                    "attributes": st.dictionaries(texts, texts, max_size=2),
                    "exclude": st.lists(texts, max_size=2),
                },
            )
        },
    ),
)  # fmt: skip


def paths(node: Any, path: str = "") -> list[str]:
    """Return the path of every value within a document, as errors name it.

    The members of free maps (`attributes`) have no path of their own.
    """
    if isinstance(node, dict) and not path.endswith("attributes"):
        steps = {f"{path}.{name}" if path else name: value for name, value in node.items()}
    elif isinstance(node, list):
        steps = {f"{path}[{number}]": value for number, value in enumerate(node)}
    else:
        return []
    return [*steps, *(found for step, value in steps.items() for found in paths(value, step))]


@st.composite
def spoilt(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> tuple[Any, str]:
    """Draw a document with anything at all in the place of one value, and the value's path."""
    document = draw(documents)
    path = draw(st.sampled_from(paths(document)))
    return put(document, path, draw(anything)), path
