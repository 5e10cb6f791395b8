"""Answers as a page of pictures that stands alone: no script, no other file, light or dark."""

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from visualsearch.contracts.search import SearchHit

_FETCH_S = 5.0
_LARGEST = 20_000_000
_THREADS = 4

Show = Callable[[SearchHit], str]
"""Give the address of a hit's picture, which may be a `data:` URL."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One search to be shown: what was asked (`pictures` are JPEGs), and the hits, best first.

    `marks` says for each hit whether it is what was asked for, where that is known.
    """

    asked: str
    note: str
    hits: Sequence[SearchHit]
    pictures: Sequence[bytes] = ()
    marks: Sequence[bool] | None = None


def gallery_page(
    title: str,
    lead: str,
    groups: Mapping[str, Sequence[Answered]],
    show: Show,
    facts: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML of a page: a heading per group, a row of hits per search."""
    body = []
    for heading, answers in groups.items():
        if heading:
            body.append(f"<h2>{escape(heading)}</h2>")
        body += [_section(answer, show) for answer in answers]
    page = Template(files("streams.web").joinpath("gallery.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=escape(title), lead=escape(lead), facts=_facts(facts or {}), body="\n".join(body)
    )


def jpeg_url(data: bytes, kind: str = "image/jpeg") -> str:
    """Return a picture as a `data:` URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_link(worker: str, hit: SearchHit) -> str:
    """Return where a worker serves the picture of a hit that fits best."""
    query = urlencode({"image_id": hit.image_id})
    return f"{worker.rstrip('/')}/v1/images/{quote(hit.product_id, safe='')}?{query}"


def embedded_pictures(worker: str, hits: Sequence[SearchHit]) -> Show:
    """Fetch the hits' pictures from a worker; what it does not give stays a link to it."""
    links = {picture_link(worker, hit) for hit in hits}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(links, pool.map(_embedded, links), strict=True))
    return lambda hit: found[picture_link(worker, hit)]


def _embedded(link: str) -> str:
    try:
        with urlopen(link, timeout=_FETCH_S) as answer:  # noqa: S310 - the user named the worker
            kind = answer.headers.get_content_type()
            data = answer.read(_LARGEST + 1)
    except (URLError, OSError, ValueError):
        return link
    return jpeg_url(data, kind) if kind.startswith("image/") and len(data) <= _LARGEST else link


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f"<dl>{items}</dl>"


def _section(answer: Answered, show: Show) -> str:
    pictures = "".join(
        f'<img src="{jpeg_url(data)}" alt="picture searched with">' for data in answer.pictures
    )
    marks: Sequence[bool | None] = answer.marks or [None] * len(answer.hits)
    hits = "".join(_hit(hit, show, mark) for hit, mark in zip(answer.hits, marks, strict=True))
    asked = f"<p>{escape(answer.asked)}</p>" if answer.asked else ""
    note = f'<p class="quiet">{escape(answer.note)}</p>' if answer.note else ""
    listed = f"<ol>{hits}</ol>" if hits else '<p class="quiet">No product matches.</p>'
    return f'<section><div class="query">{pictures}{asked}{note}</div>{listed}</section>'


def _hit(hit: SearchHit, show: Show, mark: bool | None) -> str:  # noqa: FBT001 - three states
    said = {None: "", True: '<span class="right">✓</span> ', False: '<span class="wrong">✗</span> '}
    line = " · ".join(part for part in (price_of(hit), _stock(hit), f"{hit.score:.3f}") if part)
    return (
        f'<li><img src="{escape(show(hit))}" alt="{escape(hit.title)}" loading="lazy">'
        f"<div><b>{said[mark]}{escape(hit.title)}</b>"
        f'<span class="quiet">{escape(line)}</span></div></li>'
    )


def price_of(hit: SearchHit) -> str:
    """Return the price as a person reads it; empty where it is unknown."""
    return "" if hit.price is None else f"{hit.price:,.2f} {hit.currency or ''}".strip()


def _stock(hit: SearchHit) -> str:
    return "sold out" if hit.in_stock is False else ""
