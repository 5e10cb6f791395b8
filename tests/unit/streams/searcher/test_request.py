"""Request parsing: shorthands, filters, and what is refused."""

from typing import Any

import pytest

from streams.searcher.request import RequestError, parse
from tests.support.search_pipeline import request
from visualsearch.contracts.search import (
    QueryImage,
    QuerySpec,
    QueryText,
    SearchFilters,
    SearchRequest,
)


def test_shorthands_are_written_out_beside_the_long_form() -> None:
    """Each part keeps the name of its field; a URL is told from base64."""
    parts = parse(
        request(
            images=[QueryImage(url="http://a/")],
            image="https://b/",
            text="red",
            text_weight=0.5,
            texts=[QueryText("blue", weight=-1.0)],
        )
    )
    assert [(field, image.url) for field, image in parts.images] == [
        ("query.images[0]", "http://a/"), ("query.image", "https://b/")]  # fmt: skip
    assert parts.texts == [("query.texts[0]", "blue", -1.0), ("query.text", "red", 0.5)]
    ((_, image),) = parse(request(image="aGk=")).images
    assert (image.url, image.data) == (None, "aGk=")


@pytest.mark.parametrize(
    ("query", "field"),
    [({"text_weight": 1.0}, "query.text_weight"), ({"text": " \n"}, "query.text"),
     ({"texts": [QueryText("a"), QueryText("\u2003")]}, "query.texts[1]")],
)  # fmt: skip
def test_words_without_words_are_refused(query: dict[str, Any], field: str) -> None:
    """By field."""
    with pytest.raises(RequestError) as caught:
        parse(request(**query))
    assert (caught.value.fault.code, caught.value.fault.field) == ("field_invalid", field)


def test_a_product_is_no_answer_to_itself() -> None:
    """`similar_to` joins what the request excludes."""
    asked = SearchRequest(
        request_id="r", query=QuerySpec(similar_to="p"), filters=SearchFilters(exclude=["q"])
    )
    assert parse(asked).filters.exclude == {"p", "q"}
