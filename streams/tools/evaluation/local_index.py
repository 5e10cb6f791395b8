"""A local index: a catalog embedded and indexed in this process, searched by a worker's code."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from streams.config.settings import Settings
from streams.images.blobs import BlobStore
from streams.images.errors import FetchError
from streams.images.fetcher import Fetcher
from streams.images.inline import decode_base64
from streams.indexer.engine import build_engine
from streams.indexer.records import to_engine_record
from streams.indexer.watermark import Watermark
from streams.ingest.attributes import base_record, image_id, offer_record
from streams.metrics import Metrics
from streams.model.attribute_guesses import build_guesser
from streams.model.model import Model
from streams.model.priority_pool import Priority
from streams.searcher.images import QueryImages
from streams.searcher.look import Detection
from streams.searcher.pipeline import SearchPipeline
from streams.tools.catalog.events import row_product
from streams.tools.catalog.publish import ReadyProduct, products_of
from streams.tools.catalog.readers import open_catalog
from streams.tools.catalog.rows import Catalog, CatalogError, RejectedRow, Row
from visualsearch.attributes.guesser import Guesser
from visualsearch.contracts.events import ImageSource, Product
from visualsearch.contracts.records import LogImageRef
from visualsearch.encoders.protocol import Encoder
from visualsearch.engine import Engine
from visualsearch.errors import ImageError
from visualsearch.types import Guess, ImageVector, Record, VectorsRecord

STEP = 32  # products embedded in one batch
Progress = Callable[[int, int], None]  # done, total


@dataclass(slots=True)
class LocalIndex:
    """An index of a catalog and a pipeline over it; `rejected` are its rows and images."""

    engine: Engine
    model: Model
    pipeline: SearchPipeline
    fetcher: Fetcher
    settings: Settings
    pipeline_over: Callable[[Engine], SearchPipeline]  # for a wrapped engine
    guesser: Guesser | None = None
    rejected: list[RejectedRow] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    async def load_catalog(self, path: Path, progress: Progress = lambda *_: None) -> None:
        """Embed and index a catalog. Raises CatalogError if no product becomes searchable."""
        catalog = open_catalog(path)
        self.folder = catalog.folder
        products = products_of(replace(catalog, rows=self._remember_rows(catalog)))
        while step := await asyncio.to_thread(lambda: list(islice(products, STEP))):
            self.rejected += [item for item in step if isinstance(item, RejectedRow)]
            ready = [item for item in step if isinstance(item, ReadyProduct)]
            await self._add(ready)
            progress(step[-1].position, catalog.total)
        if not self.engine.stats().products:
            why = (
                f" ({self.rejected[0].where}: {self.rejected[0].message})" if self.rejected else ""
            )
            raise CatalogError(f"{path}: no product with a usable image{why}")
        await asyncio.to_thread(self._build_index)

    def load_records(self, records: Iterable[Record]) -> None:
        """Index existing records. Raises CatalogError if no product becomes searchable."""
        for step in batches(records, STEP):
            self.engine.apply(step)
        if not self.engine.stats().products:
            raise CatalogError("no searchable product to measure on")
        self._build_index()

    async def image_bytes(self, product_id: str, wanted: str) -> bytes | None:
        """Return a product's image by its id; None if it is no longer available."""
        row = self.rows.get(product_id)
        found = None if row is None else row_product(row, self.folder)
        if not isinstance(found, Product):
            return None
        for number, image in enumerate(found.images):
            if image_id(number, image) == wanted:
                try:
                    return await self._bytes(image)
                except FetchError:
                    return None
        return None

    def _remember_rows(self, catalog: Catalog) -> Iterator[Row | RejectedRow]:
        for row in catalog.rows:
            if isinstance(row, Row):
                self.rows[str(row.product.get("product_id"))] = row
            yield row

    async def _add(self, ready: list[ReadyProduct]) -> None:
        images = [(item, n, image) for item in ready
                  for n, image in enumerate(item.product.images)]  # fmt: skip
        prepared = await asyncio.gather(*(self._prepared(*image) for image in images))
        usable = [place for place, one in enumerate(prepared) if one is not None]
        rows = await self.model.images(Priority.INDEX, [prepared[place] for place in usable])
        vectors: dict[str, list[ImageVector]] = {item.product.product_id: [] for item in ready}
        for place, row in zip(usable, rows.astype(np.float16), strict=True):
            item, number, image = images[place]
            vectors[item.product.product_id].append(
                ImageVector(image_id(number, image), row, image.kind, image.url)
            )
        for item in ready:
            self._apply(item.product, vectors[item.product.product_id])

    def _apply(self, product: Product, images: list[ImageVector]) -> None:
        order, name = (1, 0, 0), product.product_id
        refs = [LogImageRef(image_id=image.image_id, url=image.url or "") for image in images]
        self.engine.apply([
            to_engine_record(name, base_record(product, order, refs)),
            to_engine_record(name, offer_record(product, order)),
            VectorsRecord(
                name, order, model=self.engine.model,
                images=tuple(images), guessed=self._guessed(images),
            ),
        ])  # fmt: skip

    def _guessed(self, images: list[ImageVector]) -> Mapping[str, Guess]:
        if self.guesser is None or not images:
            return {}
        return self.guesser(np.stack([image.vector for image in images]).astype(np.float32))

    async def _prepared(self, item: ReadyProduct, number: int, image: ImageSource) -> Any:
        where = f"images[{number}]"
        try:
            return await self.model.prepare(Priority.INDEX, await self._bytes(image))
        except (FetchError, ImageError) as error:
            self.rejected.append(RejectedRow(item.where, error.code, str(error), where))
            return None

    async def _bytes(self, image: ImageSource) -> bytes:
        if image.data is not None:
            return decode_base64(image.data, self.settings.image_max_bytes)
        return (await self.fetcher.fetch(image.url or "")).data

    def _build_index(self) -> None:
        """Finish the graphs and lists: an idle index is measured."""
        while self.engine.index_pending() or not self.engine.settled:
            pass


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Yield records in lists of at most `size`."""
    left = iter(records)
    while step := list(islice(left, size)):
        yield step


@asynccontextmanager
async def open_local_index(encoder: Encoder, settings: Settings) -> AsyncIterator[LocalIndex]:
    """Yield an empty local index; it does not use Kafka."""
    metrics = Metrics(CollectorRegistry())
    model = Model(encoder, metrics)
    engine = build_engine(settings, encoder.model_id, encoder.dim, metrics)
    fetcher = Fetcher(settings, BlobStore(settings.blobs), metrics)
    images = QueryImages.from_settings(settings, model, fetcher)
    detection = Detection.of(settings)

    def pipeline_over(engine: Engine) -> SearchPipeline:
        return SearchPipeline(
            engine, model, images, metrics, watermark=Watermark(1), detection=detection
        )

    pipeline = pipeline_over(engine)
    try:
        yield LocalIndex(
            engine, model, pipeline, fetcher, settings, pipeline_over,
            build_guesser(settings, encoder),
        )  # fmt: skip
    finally:
        pipeline.close()
        await fetcher.close()
        model.close()
        engine.close()
