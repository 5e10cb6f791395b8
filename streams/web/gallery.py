"""Search results as one self-contained HTML page: no script, no other file, light or dark."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from streams.web.pages import render
from visualsearch.contracts.search import SearchHit

_FETCH_S = 5.0
_LARGEST = 20_000_000
_THREADS = 4

HitImageUrl = Callable[[SearchHit], str]
"""Return the URL of a hit's image, which may be a `data:` URL."""


@dataclass(frozen=True, slots=True)
class GallerySection:
    """One search on the page: the query (its images are JPEGs) and the hits, best first.

    `marks` says for each hit whether it is relevant, where that is known.
    """

    query_text: str
    note: str
    hits: Sequence[SearchHit]
    query_images: Sequence[bytes] = ()
    marks: Sequence[bool] | None = None

    def marked(self) -> Iterable[tuple[SearchHit, bool | None]]:
        """Return each hit and its mark, if known. Raises ValueError for unequal numbers."""
        marks: Sequence[bool | None] = self.marks or [None] * len(self.hits)
        return zip(self.hits, marks, strict=True)


def gallery_page(
    title: str,
    lead: str,
    groups: Mapping[str, Sequence[GallerySection]],
    show: HitImageUrl,
    facts: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML of a page: a heading per group, a row of hits per search."""
    return render(
        "gallery.html", title=title, lead=lead, groups=groups, facts=facts or {}, show=show,
        jpeg_url=jpeg_url, price_of=format_price,
    )  # fmt: skip


def jpeg_url(data: bytes, kind: str = "image/jpeg") -> str:
    """Return an image as a `data:` URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image_link(worker: str, hit: SearchHit) -> str:
    """Return where a worker serves the image of a hit that fits best."""
    query = urlencode({"image_id": hit.image_id})
    return f"{worker.rstrip('/')}/v1/images/{quote(hit.product_id, safe='')}?{query}"


def inline_image_urls(worker: str, hits: Sequence[SearchHit]) -> HitImageUrl:
    """Fetch the hits' images from a worker; an image that cannot be fetched stays a link."""
    links = {image_link(worker, hit) for hit in hits}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(links, pool.map(_inline_or_link, links), strict=True))
    return lambda hit: found[image_link(worker, hit)]


def _inline_or_link(link: str) -> str:
    try:
        with urlopen(link, timeout=_FETCH_S) as answer:  # noqa: S310 - the user named the worker
            kind = answer.headers.get_content_type()
            data = answer.read(_LARGEST + 1)
    except (URLError, OSError, ValueError):
        return link
    return jpeg_url(data, kind) if kind.startswith("image/") and len(data) <= _LARGEST else link


def format_price(hit: SearchHit) -> str:
    """Return the price as a person reads it; empty where it is unknown."""
    return "" if hit.price is None else f"{hit.price:,.2f} {hit.currency or ''}".strip()
