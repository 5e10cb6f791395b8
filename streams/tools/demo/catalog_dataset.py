"""The user's own catalog: what its products show is unknown, so precision is not measured."""

import base64
from collections.abc import Iterator, Mapping

import msgspec

from streams.tools.catalog.publish import ReadyProduct, products_of
from streams.tools.catalog.rows import Catalog, CatalogError, RejectedRow
from streams.tools.demo.dataset import Question, Truth, interleave
from streams.tools.demo.photos import mirrored, phone_sized
from visualsearch.contracts.events import ImageSource, Product

_SAMPLE = 120  # products kept with their images
_QUESTIONS = 40
_FEWEST = 2  # one is changed while the other is searched with


class CatalogDataset:
    """Makes queries and events from the catalog's titles, categories and images."""

    truth: Mapping[str, Truth]

    def __init__(self, catalog: Catalog) -> None:
        self.total = catalog.total
        self.truth = {}
        self._catalog = catalog
        self._sample: list[Product] = []
        self._read = 0

    def products(self) -> Iterator[ReadyProduct | RejectedRow]:
        """Yield the catalog; every second one of the sample is dropped whenever it is full."""
        step = 1
        for item in products_of(self._catalog):
            if isinstance(item, ReadyProduct) and item.product.images:
                if self._read % step == 0:
                    self._sample.append(item.product)
                if len(self._sample) > _SAMPLE:
                    self._sample = self._sample[::2]
                    step *= 2
                self._read += 1
            yield item

    def prepare(self, fresh: int) -> None:  # noqa: ARG002 - part of the protocol
        """Check that there are enough products; everything else is made on demand."""
        if len(self._sample) < _FEWEST:
            raise CatalogError("the catalog holds fewer than two products with images")

    def questions(self) -> list[Question]:
        """Ask by titles, by mirrored images, and by an image and another category."""
        shown = self._sample[:_QUESTIONS]
        categories = [c for c in dict.fromkeys(p.category for p in self._sample) if c]
        pictures = [(p, mirrored(data)) for p in shown if (data := _data(p)) is not None]
        return interleave(
            [Question("words", p.title[:200]) for p in shown],
            [Question("photo", picture=picture) for _, picture in pictures],
            [
                Question("both", categories[n % len(categories)], picture)
                for n, (_, picture) in enumerate(pictures)
                if categories
            ],
        )

    def new_product(self, number: int) -> Product:
        """Return a mirrored copy of a product under an id of its own."""
        product = self._mirror(number)
        return msgspec.structs.replace(
            product, product_id=f"demo-{number}-{product.product_id}"[:256]
        )

    def changed_product(self, number: int) -> Product:
        """Return a product whose images are mirrored."""
        return self._mirror(number)

    def offer_product_id(self, number: int) -> str:
        """Return the id of a product from the sample's other half."""
        half = len(self._sample) // 2
        return self._sample[(half + number) % len(self._sample)].product_id

    def another_product_id(self, product_id: str) -> str:
        """Return one of the first two products of the sample."""
        first, second = self._sample[0].product_id, self._sample[1].product_id
        return second if product_id == first else first

    def phone_photo(self) -> bytes | None:
        """Return an enlarged image of the catalog; None if all of them are URLs."""
        found = next((data for p in self._sample if (data := _data(p)) is not None), None)
        return None if found is None else phone_sized(found)

    def _mirror(self, number: int) -> Product:
        product = self._sample[number % len(self._sample)]
        return msgspec.structs.replace(product, images=[_mirrored_image(i) for i in product.images])


def _data(product: Product) -> bytes | None:
    inline = next((image.data for image in product.images if image.data is not None), None)
    return None if inline is None else base64.b64decode(inline)


def _mirrored_image(image: ImageSource) -> ImageSource:
    """Mirror an image; one that has only a URL stays as it is."""
    if image.data is None:
        return image
    data = base64.b64encode(mirrored(base64.b64decode(image.data))).decode()
    return msgspec.structs.replace(image, data=data)
