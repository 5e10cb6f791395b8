"""Query images: fetched, preprocessed as requested, embedded."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from PIL import Image

from streams.config.settings import Settings
from streams.images.background import subject_finder
from streams.images.errors import FetchError
from streams.images.fetcher import Fetcher
from streams.images.inline import decode_base64
from streams.model.model import Model
from streams.model.priority_pool import Priority
from streams.searcher.request import ParsedRequest, RequestError
from visualsearch.contracts.search import Preprocess, QueryImage
from visualsearch.encoders.images import decode_image
from visualsearch.encoders.protocol import Prepared
from visualsearch.errors import VisualSearchError
from visualsearch.search import photos
from visualsearch.types import FloatArray

QUERY = Priority.QUERY
T = TypeVar("T")


class QueryImages:
    """Fetches and embeds the images of a request; `field` names an image in errors."""

    def __init__(
        self, model: Model, fetcher: Fetcher, *, limit: int, find_subject: photos.FindSubject
    ) -> None:
        self._model = model
        self._fetcher = fetcher
        self._limit = limit
        self._find_subject = find_subject

    @classmethod
    def from_settings(cls, settings: Settings, model: Model, fetcher: Fetcher) -> "QueryImages":
        """Build it from the settings. Raises EncoderError for an unusable background model."""
        find_subject = subject_finder(settings.background_model)
        return cls(model, fetcher, limit=settings.image_max_bytes, find_subject=find_subject)

    async def fetch(self, parsed: ParsedRequest) -> list[bytes]:
        """Return the bytes of each image, sent inline or by URL. Raises RequestError."""
        return await asyncio.gather(*(self._fetch(field, each) for field, each in parsed.images))

    async def _fetch(self, field: str, image: QueryImage) -> bytes:
        try:
            if (data := image.data) is not None:
                return await self._model.run_on_cpu_pool(
                    QUERY, lambda: decode_base64(data, self._limit)
                )
            return (await self._fetcher.fetch(image.url or "")).data
        except FetchError as error:
            text = f"{field}: {error}; send the image itself, in base64, or another address"
            raise RequestError(error.code, text, field) from None

    async def vectors(self, field: str, data: bytes, wanted: Preprocess) -> FloatArray:
        """Return float32 unit rows of shape (views, dim): one, or one for each crop.

        Raises RequestError for bytes that are no image, ModelError when the model or the memory
        fails.
        """
        views = await self._decode(field, data, lambda: self._views(data, wanted))
        return await self._model.images(QUERY, views)

    async def photo(self, field: str, data: bytes, wanted: Preprocess) -> Image.Image:
        """Return the whole image, upright. Raises RequestError for bytes that are no image."""

        def decoded() -> Image.Image:
            image = decode_image(data)
            return photos.equalize_lighting(image) if wanted.lighting else image

        return await self._decode(field, data, decoded)

    async def _decode(self, field: str, data: bytes, work: Callable[[], T]) -> T:
        try:
            return await self._model.decode(QUERY, data, work)
        except VisualSearchError as error:
            text = f"{field}: {error} Send a JPEG, PNG or WebP."
            raise RequestError(error.code, text, field) from None

    def _views(self, data: bytes, wanted: Preprocess) -> list[Prepared]:
        prepare = self._model.encoder.prepare
        if not (wanted.lighting or wanted.background or wanted.crops):
            return [prepare(data)]
        image = decode_image(data)
        if wanted.lighting:
            image = photos.equalize_lighting(image)
        if wanted.background:
            image = photos.remove_background(image, self._find_subject)
        return [prepare(view) for view in (photos.crops(image) if wanted.crops else [image])]
