"""Records of the index log as the engine takes them."""

import numpy as np

from visualsearch import types
from visualsearch.contracts.records import BaseLogRecord, IndexRecord, OfferLogRecord

HALF = np.dtype("<f2")


def to_engine_record(product_id: str, record: IndexRecord) -> types.Record:
    """Convert a log record; vectors become float16 views of the message's bytes."""
    if isinstance(record, BaseLogRecord):
        return types.BaseRecord(
            product_id,
            record.order,
            record.deleted,
            title=record.title,
            description=record.description,
            brand=record.brand,
            category=record.category,
            tags=tuple(record.tags),
            attributes=record.attributes or types.NO_ATTRIBUTES,
            url=record.url,
        )
    if isinstance(record, OfferLogRecord):
        return types.OfferRecord(
            product_id,
            record.order,
            record.deleted,
            price=record.price,
            currency=record.currency,
            in_stock=record.in_stock,
        )
    images = [
        types.ImageVector(image.image_id, np.frombuffer(image.vector, HALF), image.kind, image.url)
        for image in record.images
    ]
    guessed = {
        name: types.Guess(value, record.confidences.get(name, 0.0))
        for name, value in record.attributes.items()
    }
    return types.VectorsRecord(
        product_id, record.order, record.deleted, record.model, tuple(images), guessed
    )
