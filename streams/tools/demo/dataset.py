"""The dataset of a demonstration: products to load, queries, and products for single events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from streams.tools.catalog.publish import ReadyProduct
from streams.tools.catalog.rows import RejectedRow
from visualsearch.contracts.events import Product

QuestionKind = Literal["words", "photo", "both"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a drawn product shows."""

    kind: str
    color: str


@dataclass(frozen=True, slots=True)
class Question:
    """A search, and what its hits should show, if that is known."""

    kind: QuestionKind
    text: str | None = None
    picture: bytes | None = None
    right: Truth | None = None

    @property
    def description(self) -> str:
        """The query in a few words."""
        words = f"“{self.text}”" if self.text else ""
        return f"this, but {words}" if self.picture and words else words or "this photo"


class DemoDataset(Protocol):
    """A catalog, with queries and single events for it."""

    total: int

    @property
    def truth(self) -> Mapping[str, Truth]:
        """What each product shows, by product id; empty where that is unknown."""

    def products(self) -> Iterator[ReadyProduct | RejectedRow]:
        """Yield the products to load, once."""

    def prepare(self, fresh: int) -> None:
        """Make the photos, and 2 x `fresh` products for single events, before they are timed."""

    def questions(self) -> list[Question]:
        """Return the searches, kinds in turn; called after the products were read."""

    def new_product(self, number: int) -> Product:
        """Return a product that is not in the catalog, with images never embedded."""

    def changed_product(self, number: int) -> Product:
        """Return a loaded product with other images."""

    def offer_product_id(self, number: int) -> str:
        """Return the id of a loaded product that `changed_product` does not change meanwhile."""

    def another_product_id(self, product_id: str) -> str:
        """Return the id of a loaded product with images, but not this one."""

    def phone_photo(self) -> bytes | None:
        """Return a photo of 12 megapixels, as a phone takes it (JPEG), if one can be made."""


def interleave(*kinds: Sequence[Question]) -> list[Question]:
    """Return the first of each kind, then the second, ..."""
    longest = max(map(len, kinds), default=0)
    return [kind[n] for n in range(longest) for kind in kinds if n < len(kind)]
