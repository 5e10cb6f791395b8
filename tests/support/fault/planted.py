"""Damage that fsck must find: forged records in the index log, as no lane ever writes them."""

from dataclasses import dataclass
from typing import Any

from tests.support.fakes import FakeEncoder, unit
from tests.support.fault.stage import PARTITIONS, Stage
from tests.support.fault.verdict import Products
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.client.producer import Producer
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    LogImageVector,
    VectorsLogRecord,
    encode_record,
    record_key,
)

LATER_MS = 5_000


@dataclass(frozen=True, slots=True)
class Planted:
    """The products that were damaged."""

    lost: str
    resurrected: str
    stale_vector: str


def plant(stage: Stage, served: Products) -> Planted:
    """Lose a product, bring a deleted one back, and give one a vector of another image."""
    found = [name for name, row in served.items() if row["searchable"]]
    gone = [name for name, row in served.items() if (row["base"] or {}).get("deleted")]
    lost, turned = [name for name in found if served[name]["images"]][:2]
    risen = gone[0]
    with Producer(stage.settings.kafka()) as producer:
        for name, record in (
            (lost, BaseLogRecord(order=_later(served[lost]), deleted=True)),
            (risen, BaseLogRecord(order=_later(served[risen]), title="Ghost")),
            (risen, _vectors(_later(served[risen]), [{"image_id": "0", "url": "blob:00"}])),
            (turned, _vectors(_order(served[turned], "vectors"), served[turned]["images"])),
        ):
            producer.submit(_message(stage, name, record)).result(30)
    return Planted(lost, risen, turned)


def _order(row: Any, kind: str) -> tuple[int, int, int]:
    first, offset, rank = row["orders"][kind]
    return first, offset, rank


def _later(row: Any) -> tuple[int, int, int]:
    first, _, _ = max(_order(row, kind) for kind in row["orders"] if row["orders"][kind])
    return first + LATER_MS, 0, 0


def _vectors(order: tuple[int, int, int], images: list[Any]) -> VectorsLogRecord:
    vector = unit("another picture").astype("<f2").tobytes()
    return VectorsLogRecord(
        order=order,
        model=FakeEncoder.model_id,
        images=[
            LogImageVector(image_id=image["image_id"], vector=vector, url=image["url"],
                        content_hash="", kind=image.get("kind", "catalog"))
            for image in images
        ],
    )  # fmt: skip


def _message(stage: Stage, name: str, record: IndexRecord) -> OutgoingMessage:
    key = record_key(record.__struct_config__.tag, name)  # type: ignore[arg-type]
    where = partition_of(name, PARTITIONS)
    return OutgoingMessage(stage.settings.topics.index_log, key, encode_record(record), where)
