"""`visualsearch search`: send one search request through the topics and print the result."""

import base64
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli.options import FiniteRange, connection_options, settings_from_options

if TYPE_CHECKING:
    from streams.config.settings import Settings
    from visualsearch.contracts.search import SearchFilters, SearchRequest, SearchResult

UNLIKE = -0.5  # weight of --unlike; an image weighs 1
_WORKER = "http://127.0.0.1:8080"


@click.command()
@connection_options
@click.option("--image", "images", multiple=True, metavar="FILE|URL", help="Similar to this image.")
@click.option("--text", "texts", multiple=True, help="Similar to these words.")
@click.option(
    "--unlike", "unlike", multiple=True, metavar="TEXT", help="Dissimilar to these words."
)
@click.option("--like", "like", multiple=True, metavar="PRODUCT_ID",
              help="Similar to this indexed product, or to several.")  # fmt: skip
@click.option("--look", is_flag=True, help="Detect the products in --image and search for each.")
@click.option("--max-regions", type=click.IntRange(1, 20), default=8, show_default=True,
              help="How many products --look detects, at most.")  # fmt: skip
@click.option("--category", multiple=True,
              help="In this category or below it, or in any of several.")  # fmt: skip
@click.option("--brand", multiple=True, help="Of this brand, or of any of several.")
@click.option("--tag", "tags", multiple=True, help="With this tag, and with each of several.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE",
              help="With this attribute, and with each of several.")  # fmt: skip
@click.option("--price-min", type=FiniteRange(0), help="At this price or above.")
@click.option("--price-max", type=FiniteRange(0), help="At this price or below.")
@click.option("--in-stock", is_flag=True, help="Only what is in stock.")
@click.option("--exclude", multiple=True, metavar="PRODUCT_ID", help="Not this product.")
@click.option("--lighting", is_flag=True, help="Even out the lighting of --image first.")
@click.option("--background", is_flag=True, help="Remove the background of --image first.")
@click.option("--crops", is_flag=True, help="Search by crops of --image as well.")
@click.option("--align", is_flag=True, help="Subtract the mean of lifestyle photos from --image.")
@click.option("--image-kind", type=click.Choice(["catalog", "lifestyle"]),
              help="Compare with product images of this kind only.")  # fmt: skip
@click.option(
    "--collapse", is_flag=True, help="Collapse near-duplicates into one hit with variants."
)
@click.option("--diversity", type=FiniteRange(0, 1), default=0.0, show_default=True,
              help="Weight of the hits' diversity (MMR).")  # fmt: skip
@click.option("--top-k", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="How many products, at most.")  # fmt: skip
@click.option("--deadline-ms", type=click.IntRange(1, 600_000),
              help="How long to wait for the result: 5000, with --look 30000.")  # fmt: skip
@click.option("--request", "request_file", type=click.File("rb"), metavar="FILE.json|-",
              help="Send this request instead of one made from options.")  # fmt: skip
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path),
              help="Write a page with the images of query and hits.")  # fmt: skip
@click.option("--http", "worker", default=_WORKER, show_default=True,
              help="Where a worker serves the images for --html.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def search(
    bootstrap: str | None,
    prefix: str | None,
    config: Path | None,
    *,
    html: Path | None,
    worker: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Search by images, by words, by an indexed product, or by all of them.

    The request goes through the topics to whatever worker is ready. Images are shrunk to 1,024
    pixels before they are sent. A request that is refused ends with its code and status 1.
    """
    from visualsearch.contracts.errors import SchemaError

    settings = settings_from_options(bootstrap, prefix, config)
    try:
        request = _request(**options)
    except SchemaError as error:  # the same check, and the same code, as the worker's
        raise click.ClickException(f"{error} [{error.code}]") from None
    result = send_request(settings, request)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(result))
    if result.error is not None:
        field = f", field {result.error.field}" if result.error.field else ""
        click.echo(f"Error: {result.error.message} [{result.error.code}{field}]", err=True)
        sys.exit(1)
    if html is not None:
        _write_page(html, worker, request, result)
    if not as_json:
        from rich.console import Console

        from streams.cli.tables import print_result

        print_result(result, Console())


def _request(
    *,
    request_file: Any,
    images: Sequence[str],
    texts: Sequence[str],
    unlike: Sequence[str],
    like: Sequence[str],
    look: bool,
    max_regions: int,
    lighting: bool,
    background: bool,
    crops: bool,
    align: bool,
    image_kind: str | None,
    collapse: bool,
    diversity: float,
    top_k: int,
    deadline_ms: int | None,
    **filters: Any,
) -> "SearchRequest":
    """Build the request from the options, or read it. Raises SchemaError."""
    import msgspec

    from visualsearch.contracts.request_id import with_request_id
    from visualsearch.contracts.search import QueryText, decode_request

    if request_file is not None:
        return decode_request(with_request_id(request_file.read()))
    if not (images or texts or like or unlike):
        raise click.UsageError("give a query: --image, --text or --like")
    query_texts = [QueryText(text) for text in texts]
    query_texts += [QueryText(text, weight=UNLIKE) for text in unlike]
    body = {
        "request_id": uuid.uuid4().hex,
        "query": {
            "images": [_image(image) for image in images],
            "texts": query_texts,
            "similar_to": like[0] if len(like) == 1 else list(like) or None,
        },
        "mode": "look" if look else "search",
        "max_regions": max_regions,
        "diversity": diversity,
        "collapse_duplicates": collapse,
        "image_kind": image_kind,
        "filters": _filters(**filters),
        "preprocess": {
            "lighting": lighting, "background": background, "crops": crops, "align": align,
        },
        "top_k": top_k,
        "deadline_ms": deadline_ms or (30_000 if look else 5_000),
    }  # fmt: skip
    return decode_request(msgspec.json.encode(body))


def _image(given: str) -> dict[str, str]:
    """Take a URL as it is; read and shrink a file."""
    from streams.tools.catalog.image_shrinking import shrink
    from visualsearch.errors import ImageError

    if given.startswith(("http://", "https://")):
        return {"url": given}
    try:
        data = shrink(Path(given).read_bytes())
    except OSError as error:
        raise click.ClickException(
            f"--image {given}: {error.strerror} [image_unreadable]"
        ) from None
    except ImageError as error:
        raise click.ClickException(f"--image {given}: {error} [{error.code}]") from None
    return {"data": base64.b64encode(data).decode()}


def _filters(
    *,
    category: Sequence[str],
    brand: Sequence[str],
    tags: Sequence[str],
    attributes: Sequence[str],
    price_min: float | None,
    price_max: float | None,
    in_stock: bool,
    exclude: Sequence[str],
) -> "SearchFilters":
    from visualsearch.contracts.search import SearchFilters

    pairs = {}
    for given in attributes:
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise click.UsageError(f"--attribute {given}: give NAME=VALUE")
        pairs[name] = value
    if price_min is not None and price_max is not None and price_min > price_max:
        raise click.UsageError("--price-min is above --price-max")
    return SearchFilters(
        category=list(category),
        brand=list(brand),
        tags=list(tags),
        attributes=pairs,
        price_min=price_min,
        price_max=price_max,
        in_stock=True if in_stock else None,
        exclude=list(exclude),
    )


def send_request(settings: "Settings", request: "SearchRequest") -> "SearchResult":
    """Send a request and wait for its result. Raises ConnectionError, TimeoutError."""
    from visualsearch.client.search_client import SearchClient

    topics = settings.topics
    client = SearchClient(settings.kafka(), topics.search_requests, topics.search_results)
    try:
        return client.search(request)
    finally:
        client.close()


def _write_page(path: Path, worker: str, request: "SearchRequest", result: "SearchResult") -> None:
    from streams.cli.tables import result_line
    from streams.web.gallery import GallerySection, gallery_page, inline_image_urls

    query = request.query
    images = [base64.b64decode(i.data) for i in query.images if i.data is not None]
    words = [text.text for text in query.texts] + [query.text or ""]
    products = [query.similar_to] if isinstance(query.similar_to, str) else query.similar_to or []
    title = ", ".join([part for part in words if part] + [f"like {each}" for each in products])
    sections = [GallerySection(title, result_line(result), result.hits, images)]
    for region in result.regions or ():
        where = " ".join(f"{edge:.2f}" for edge in region.box)
        sections.append(GallerySection(region.category or "the photo", f"at {where}", region.hits))
    show = inline_image_urls(worker, [hit for section in sections for hit in section.hits])
    page = gallery_page(title or "Search by image", "visualsearch", {"": sections}, show)
    path.write_text(page, encoding="utf-8")
    click.echo(f"{path} written", err=True)
