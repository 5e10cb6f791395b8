"""Unknown names in a filter: close ones are told, whatever their case or place in the tree."""

import pytest

from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index.exact import ExactIndex
from visualsearch.index.paths import prefixes, within
from visualsearch.search.hints import MAX_HINTS, close_names
from visualsearch.types import BaseRecord, Filters, ImageVector, Query, VectorsRecord

DIM = 8
V = clustered(8, DIM, clusters=8, seed=2)
PATHS = ("Women/Dresses/Midi", "Women/Dresses", "Women/Shoes", "Men/Shoes", "Womenswear", None)


def shop(kind: type[Engine] | type[ExactIndex]) -> Engine | ExactIndex:
    """Return an index with a product of each category."""
    index = kind("m", DIM)
    for number, path in enumerate(PATHS):
        name = f"p{number}"
        index.apply(
            [
                BaseRecord(
                    name, (1, 0, 0), category=path, brand=("Acme", "Zenith")[number % 2],
                    tags=("linen",), attributes={"color": "navy blue"},
                ),
                VectorsRecord(name, (1, 0, 0), model="m", images=(ImageVector("0", V[number]),)),
            ]
        )  # fmt: skip
    return index


@pytest.mark.parametrize("kind", [Engine, ExactIndex])
@pytest.mark.parametrize(
    ("category", "numbers"),
    [
        (("Women",), {0, 1, 2}),
        (("Women/Dresses",), {0, 1}),
        (("Women/Dresses/Midi",), {0}),
        (("Women/Dresses", "Men"), {0, 1, 3}),
        (("Women/Dress",), set()),
        (("Shoes",), set()),
        (("Women/",), set()),
        (("",), set()),
        (("Nobody", "Womenswear"), {4}),
    ],
)
def test_a_category_holds_what_is_below_it(
    kind: type[Engine] | type[ExactIndex], category: tuple[str, ...], numbers: set[int]
) -> None:
    """By whole steps of its path, never by a part of a name; the twin agrees."""
    answer = shop(kind).search(Query(V[0], Filters(category=category)))
    assert {hit.product_id for hit in answer.hits} == {f"p{n}" for n in numbers}
    assert answer.plan.matches == len(numbers)


def test_a_changed_category_leaves_its_former_tree() -> None:
    """The column follows an update, into a path that was never seen."""
    index = shop(Engine)
    index.apply([BaseRecord("p0", (2, 0, 0), category="Home/Lamps")])
    for category, expected in (("Women", {"p1", "p2"}), ("Home", {"p0"})):
        found = index.search(Query(V[0], Filters(category=(category,)))).hits
        assert {hit.product_id for hit in found} == expected


@pytest.mark.parametrize(
    ("value", "close"),
    [
        ("Women/Dreses", "Women/Dresses"),
        ("dresses", "Women/Dresses"),
        ("women", "Women"),
        ("Ladies/Shoes", "Men/Shoes"),
        ("Quantum chromodynamics", None),
    ],
)
def test_an_unknown_category_is_told_close_ones(value: str, close: str | None) -> None:
    """Typing errors, another case, only the last step; nothing where nothing is close."""
    engine = shop(Engine)
    assert isinstance(engine, Engine)
    [hint] = engine.hints(Filters(category=(value,)))
    assert (hint.field, hint.value) == ("category[0]", value)
    assert (close in hint.close) if close else hint.close == ()


def test_each_filter_names_its_own_culprit() -> None:
    """By place and name; values that some product has are no culprits."""
    engine = shop(Engine)
    assert isinstance(engine, Engine)
    found = engine.hints(
        Filters(
            category=("Men", "Wommen"), brand=("Acne",), tags=("linen", "linnen"),
            attributes={"colour": "navy", "color": "navy-blue"},
        )
    )  # fmt: skip
    assert [(hint.field, hint.value, hint.close[0]) for hint in found] == [
        ("category[1]", "Wommen", "Women"),
        ("brand[0]", "Acne", "Acme"),
        ("tags[1]", "linnen", "linen"),
        ("attributes.color", "navy-blue", "navy blue"),
        ("attributes.colour", "colour", "color"),
    ]
    assert engine.hints(Filters(category=("Men",), brand=("Acme",), price_max=1.0)) == ()


def test_only_what_can_be_found_is_hinted_at() -> None:
    """Not the category of a deleted product, nor of one that waits for its image."""
    engine = shop(Engine)
    assert isinstance(engine, Engine)
    engine.apply(
        [BaseRecord("p4", (2, 0, 0), deleted=True), BaseRecord("q", (1, 0, 0), brand="Ax")]
    )
    (category, brand) = engine.hints(Filters(category=("Womenswear",), brand=("Ax",)))
    assert "Womenswear" not in category.close
    assert "Ax" not in brand.close
    assert Engine("m", DIM).hints(Filters(tags=("a",)))[0].close == ()


def test_hundreds_of_unknown_values_are_not_all_told() -> None:
    """The answer stays small and quick."""
    engine = shop(Engine)
    assert isinstance(engine, Engine)
    assert len(engine.hints(Filters(brand=tuple(f"x{n}" for n in range(500))))) == MAX_HINTS


def test_paths() -> None:
    """Odd ones too: nothing endless, nothing empty."""
    assert list(prefixes("a/b/c")) == ["a/b/c", "a/b", "a"]
    assert list(prefixes("")) == [""]
    assert list(prefixes("/a//b")) == ["/a//b", "/a/", "/a"]
    for path in ("a/b/c", "/a//b", "a"):
        assert all(within(path, wanted) for wanted in prefixes(path))
    assert not within(None, "")
    assert close_names("DRESSES", ["a/dresses", "b/dresses"]) == ("a/dresses", "b/dresses")
    assert close_names("x", []) == ()
