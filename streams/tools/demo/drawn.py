"""The drawn catalog: kind and color of everything in it are known."""

import base64
from collections import Counter
from collections.abc import Iterator

from streams.tools.catalog.publish import ReadyProduct
from streams.tools.demo.dataset import Question, Truth, interleave
from streams.tools.demo.photos import phone_sized
from visualsearch.contracts.events import ImageSource, Product
from visualsearch.datasets.drawn import DrawnProduct, draw_catalog, draw_photo

_OTHER_SEED = 8  # products that the catalog does not hold
_COLORS_ASKED = 2  # per kind: the commonest


class DrawnDataset:
    """Products drawn while they are published; queries ask for a kind's two commonest colors."""

    def __init__(self, total: int, seed: int = 7) -> None:
        self.total = total
        self.truth: dict[str, Truth] = {}
        self._seed = seed
        self._loaded: list[Product] = []
        self._patterns: dict[Truth, str] = {}
        self._fresh: list[Product] = []
        self._photos: dict[Truth, bytes] = {}

    def products(self) -> Iterator[ReadyProduct]:
        """Draw the catalog."""
        for number, drawn in enumerate(draw_catalog(self.total, self._seed), 1):
            truth = Truth(drawn.kind, drawn.color)
            self.truth[drawn.product_id] = truth
            self._patterns.setdefault(truth, drawn.pattern)
            product = to_product(drawn)
            self._loaded.append(without_images(product))
            yield ReadyProduct(drawn.product_id, number, product)

    def prepare(self, fresh: int) -> None:
        """Draw the photos of the queries, and other products. Call after `products`."""
        for number, truth in enumerate(self._asked_labels()):
            # With the pattern of one of the right products: a shopper photographs what exists.
            pattern = self._patterns[truth]
            self._photos[truth] = draw_photo(truth.kind, truth.color, pattern, number)
        self._fresh = [to_product(drawn) for drawn in draw_catalog(2 * fresh, _OTHER_SEED)]

    def questions(self) -> list[Question]:
        """Ask by words, by photo, and for what a photo shows in the kind's other color."""
        asked = self._asked_labels()
        other = {
            truth: next((t for t in asked if t.kind == truth.kind and t != truth), None)
            for truth in asked
        }
        return interleave(
            [Question("words", f"{t.color} {t.kind}", right=t) for t in asked],
            [Question("photo", picture=self._photos[t], right=t) for t in asked],
            [
                Question("both", f"in {right.color}", self._photos[t], right)
                for t, right in other.items()
                if right is not None
            ],
        )

    def new_product(self, number: int) -> Product:
        """Return a product drawn with another seed."""
        return self._fresh[2 * number % len(self._fresh)]

    def changed_product(self, number: int) -> Product:
        """Return a loaded product with the images of another one."""
        loaded = self._loaded[number % len(self._loaded)]
        other = self._fresh[(2 * number + 1) % len(self._fresh)]
        return with_images(loaded, other.images)

    def offer_product_id(self, number: int) -> str:
        """Return the id of a product from the catalog's other half."""
        half = len(self._loaded) // 2
        return self._loaded[(half + number) % len(self._loaded)].product_id

    def another_product_id(self, product_id: str) -> str:
        """Return one of the first two products."""
        first, second = self._loaded[0].product_id, self._loaded[1].product_id
        return second if product_id == first else first

    def phone_photo(self) -> bytes:
        """Return an enlarged drawn photo."""
        return phone_sized(next(iter(self._photos.values())))

    def _asked_labels(self) -> list[Truth]:
        """Return the commonest colors of each kind."""
        held = Counter(self.truth.values())
        asked: list[Truth] = []
        for kind in dict.fromkeys(truth.kind for truth in held):
            of_kind = [(t, n) for t, n in held.items() if t.kind == kind]
            of_kind.sort(key=lambda pair: -pair[1])
            asked += [truth for truth, _ in of_kind[:_COLORS_ASKED]]
        return asked


def to_product(drawn: DrawnProduct) -> Product:
    """Turn a drawn product into what an event carries."""
    return Product(
        product_id=drawn.product_id,
        title=drawn.title,
        description=drawn.description,
        brand=drawn.brand,
        category=drawn.category,
        tags=list(drawn.tags),
        attributes=dict(drawn.attributes),
        images=[
            ImageSource(
                image_id=image.image_id,
                data=base64.b64encode(image.data).decode(),
                kind=image.kind,
            )
            for image in drawn.images
        ],
        price=drawn.price,
        currency=drawn.currency,
        in_stock=drawn.in_stock,
    )


def without_images(product: Product) -> Product:
    """Return a product to remember: its images would fill the memory."""
    return with_images(product, [])


def with_images(product: Product, images: list[ImageSource]) -> Product:
    """Return a copy of a product with these images."""
    import msgspec

    return msgspec.structs.replace(product, images=images)
