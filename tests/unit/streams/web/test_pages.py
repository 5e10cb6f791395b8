"""Templates of pages: found in the package, whole, and strict about their values."""

from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from streams.web.pages import render


class Elements(HTMLParser):
    """Collects tags, ids and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its id."""
        self.tags.append(tag)
        self.ids |= {value for name, value in attrs if name == "id" and value}

    def handle_data(self, data: str) -> None:
        """Note the text of a script."""
        if self.tags and self.tags[-1] == "script":
            self.script += data


def test_search_page_holds_the_elements_that_its_script_uses() -> None:
    """The layout and the page are put together once, and the script is left as written."""
    text = render("page.html", title="visualsearch")
    page = Elements()
    page.feed(text)
    assert text.startswith("<!doctype html>")
    assert [page.tags.count(tag) for tag in ("html", "title", "style", "h1", "script")] == [1] * 5
    assert "{%" not in text
    used = {part.partition('"')[0] for part in page.script.split('byId("')[1:]}
    assert used >= {"form", "hits", "photo", "said"}
    assert used <= page.ids
    assert "=> search({ similar_to: hit.product_id })" in page.script


def test_a_value_is_text() -> None:
    """Escaped wherever a template puts it."""
    text = render("page.html", title="<b>&")
    assert text.count("&lt;b&gt;&amp;") == 2
    assert "<b>" not in text


def test_a_missing_value_is_an_error() -> None:
    """Not an empty place in a page."""
    with pytest.raises(UndefinedError, match="title"):
        render("page.html")
