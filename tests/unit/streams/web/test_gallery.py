"""The page of images: whole, escaped, with the hits where they were."""

from html.parser import HTMLParser

import pytest

from streams.web.gallery import (
    GallerySection,
    gallery_page,
    image_link,
    inline_image_urls,
    jpeg_url,
)
from visualsearch.contracts.search import SearchHit


class Images(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "img":
            self.sources.append(found["src"] or "")


def hit(product_id: str, title: str = "T") -> SearchHit:
    """Return a hit."""
    return SearchHit(product_id=product_id, score=0.5, image_id="front 1", title=title, price=12.5)


def test_page_stands_alone_and_shows_query_and_hits() -> None:
    """Every image is in the page; nothing is loaded from elsewhere."""
    answer = GallerySection("red mug", "12 ms", [hit("a"), hit("b")], [b"\xff\xd8"], [True, False])
    text = gallery_page("Title", "lead", {"By words": [answer]}, lambda _: jpeg_url(b"1"))
    page = Images()
    page.feed(text)
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert not page.tags & {"script", "link", "iframe"}
    assert (text.count("✓"), text.count("✗")) == (1, 1)
    assert "12.50" in text


def test_titles_of_a_shop_are_text_not_markup() -> None:
    """A catalog is not trusted with the page."""
    evil = '<script>alert(1)</script>" onerror="x'
    sold = SearchHit(product_id=evil, score=0.5, image_id=evil, title=evil, price=1, currency=evil)
    answer = GallerySection(evil, evil, [hit(evil, evil), sold], [b"1"], [True, False])
    facts = {evil: evil}
    text = gallery_page(evil, evil, {evil: [answer]}, lambda h: image_link("http://w", h), facts)
    page = Images()
    page.feed(text)
    assert "script" not in page.tags
    assert "<script>" not in text
    assert ' onerror="' not in text
    assert len(page.sources) == 3


def test_an_address_ends_where_its_attribute_ends() -> None:
    """A quote in it adds no attribute, and the browser loads the address that was meant."""
    address = """http://w/?a=1&b="' onerror="x"""
    page = Images()
    page.feed(gallery_page("T", "", {"": [GallerySection("", "", [hit("a")])]}, lambda _: address))
    assert page.sources == [address]


def test_template_syntax_in_a_title_stays_text() -> None:
    """A title is a value of the template, never a part of it."""
    title = "{{ 7 * 7 }} {% for %} {# gone #}"
    text = gallery_page(
        title, "", {"": [GallerySection("", "", [hit("a", title)])]}, lambda _: "data:,"
    )
    assert text.count(title) == 4  # <title>, <h1>, the alt of the image, the title of the hit


def test_sections_hold_only_what_is_known() -> None:
    """No heading, list of facts, or mark without one; a search without hits says so."""
    hits = [SearchHit(product_id="a", score=0.5, image_id="i", title="T", in_stock=False)]
    text = gallery_page(
        "T",
        "",
        {"": [GallerySection("", "", hits), GallerySection("x", "", [])]},
        lambda _: "data:,",
    )
    for absent in ("<h2>", "<dl>", 'class="right"', 'class="wrong"'):
        assert absent not in text
    assert "sold out · 0.500" in text
    assert (text.count("<ol>"), text.count("No product matches.")) == (1, 1)


def test_a_mark_for_each_hit_or_none() -> None:
    """Fewer marks than hits would shift what is right."""
    answer = GallerySection("", "", [hit("a"), hit("b")], marks=[True])
    with pytest.raises(ValueError, match="shorter"):
        gallery_page("T", "", {"": [answer]}, lambda _: "data:,")


def test_image_links_survive_any_product_id() -> None:
    """An id may hold slashes, blanks and question marks."""
    link = image_link("http://w:1/", hit("a/b c?d#e"))
    assert link == "http://w:1/v1/images/a%2Fb%20c%3Fd%23e?image_id=front+1"


def test_an_absent_worker_leaves_links() -> None:
    """The page still shows the images once a worker is up."""
    show = inline_image_urls("http://127.0.0.1:1", [hit("a")])
    assert show(hit("a")) == "http://127.0.0.1:1/v1/images/a?image_id=front+1"
