"""The attribute pipeline: messages in, outcomes out."""

import pytest

from streams.images.blobs import blob_reference
from streams.ingest.attributes import attributes_outcome
from streams.ingest.dead_letters import PREFIX, dead_letter
from streams.ingest.order import OrderMode
from streams.ingest.outcome import EventOutcome, OrderedEvent, latest_records
from streams.ingest.pipeline import AttributePipeline
from streams.kafka.messages import SourceMessage
from tests.support.lane_events import RED, Written, inline, message
from visualsearch.contracts.limits import MAX_BYTES
from visualsearch.contracts.records import BaseLogRecord, OfferLogRecord

LIMIT = 4096


class Attributes:
    """An attribute pipeline whose outcomes are returned instead of written."""

    def __init__(self, mode: OrderMode, limit: int = LIMIT) -> None:
        self.written = Written()
        self.pipeline = AttributePipeline(mode, self.written, inline_limit=limit)  # type: ignore[arg-type]

    async def process(self, messages: list[SourceMessage]) -> list[EventOutcome]:
        """Return one outcome per message."""
        await self.pipeline.handle(messages)
        return [self.written.of(message) for message in messages]


async def test_what_cannot_be_read_is_dead_lettered() -> None:
    """Here alone, though both pipelines meet it."""
    broken = SourceMessage("t", 0, 0, 0, b"p", b"{")
    attributes = Attributes("timestamp")
    (refused,) = await attributes.process([broken])
    assert [(f.stage, f.code) for f in refused.faults] == [("decode", "not_json")]


async def test_attributes_base_and_offer_by_type() -> None:
    """Created with a price writes both, without one only the base; a delete marks both."""
    attributes = Attributes("explicit")
    outcomes = await attributes.process([
        message(0, "product-created", price=1.0, images=[inline(RED), inline(b"x" * 5000)]),
        message(1, "product-updated"),
        message(2, "product-offer-updated", in_stock=False),
        message(3, "product-deleted"),
    ])  # fmt: skip
    kinds = [[type(record) for _, record, _ in outcome.records] for outcome in outcomes]
    assert kinds == [
        [BaseLogRecord, OfferLogRecord],
        [BaseLogRecord],
        [OfferLogRecord],
        [BaseLogRecord, OfferLogRecord],
    ]
    base = outcomes[0].records[0][1]
    assert isinstance(base, BaseLogRecord)
    (ref,) = base.images  # the one that is too large is the embedding pipeline's to dead-letter
    assert ref.url == blob_reference(RED)  # it stores nothing: it has no store
    assert all(record.deleted for _, record, _ in outcomes[3].records)


async def test_the_last_record_wins_per_product_and_kind() -> None:
    """An offer after a base replaces no base; of equals the later one is written."""
    attributes = Attributes("explicit")
    outcomes = await attributes.process([
        message(0, "product-created", version=5, price=1.0),
        message(1, "product-offer-updated", version=6, price=2.0),
        message(2, "product-updated", version=4, price=9.0, title="late"),
        message(3, "product-created", "q", version=1),
    ])  # fmt: skip
    records = {key: entry[1] for key, entry in latest_records(outcomes)}
    assert records.keys() == {b"base:p", b"offer:p", b"base:q"}
    offer, base = records[b"offer:p"], records[b"base:p"]
    assert isinstance(offer, OfferLogRecord)
    assert isinstance(base, BaseLogRecord)
    assert (offer.price, base.title) == (2.0, "T")


async def test_an_event_that_unpacks_to_more_than_the_contract_is_dead_lettered() -> None:
    """The topic's limit counts what is compressed. The dead letter has the length of the value."""
    attributes = Attributes("timestamp")
    for size, omitted in ((MAX_BYTES + 1, None), (12 * 1024 * 1024, "12582912")):
        value = (message(0, "product-created").value or b"").ljust(size)
        large = SourceMessage("t", 0, 7, 5, b"p", value)
        (refused,) = await attributes.process([large])
        (fault,) = refused.faults
        assert (fault.stage, fault.code) == ("decode", "event_too_large")
        letter = dead_letter("dead-letters", large, fault)
        facts = {name.removeprefix(PREFIX): (raw or b"").decode() for name, raw in letter.headers}
        assert (facts["code"], facts.get("value_omitted")) == ("event_too_large", omitted)
        assert (letter.key, letter.value == large.value) == (b"p", omitted is None)
        assert f"{size:,} bytes" in facts["message"]


async def test_a_tombstone_under_a_serializers_key_is_dead_lettered() -> None:
    """It would delete a product that does not exist, and nobody would be told."""
    attributes = Attributes("timestamp")
    keys = [b'"sku-1"', b'{"id":"sku-1"}', b"\0\0\0\0\7sku-1", b"sku-1"]
    outcomes = await attributes.process([SourceMessage("t", 0, 0, 5, key, None) for key in keys])
    assert [[f.code for f in o.faults] for o in outcomes] == [["key_invalid"]] * 3 + [[]]


async def test_an_error_of_ours_dead_letters_its_event_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its neighbors in the batch are indexed, and nothing is tried again."""
    attributes = Attributes("explicit")
    seen = []

    def broken(event: OrderedEvent, limit: int) -> EventOutcome:
        seen.append(event.product_id)
        if event.product_id == "poison":
            raise ZeroDivisionError
        return attributes_outcome(event, limit)

    monkeypatch.setattr("streams.ingest.pipeline.attributes_outcome", broken)
    names = ["a", "poison", "b"]
    outcomes = await attributes.process(
        [message(n, "product-created", name) for n, name in enumerate(names)]
    )
    assert [outcome.label for outcome in outcomes] == ["indexed", "dead_lettered", "indexed"]
    assert [(fault.stage, fault.code) for fault in outcomes[1].faults] == [("lane", "internal")]
    assert seen == names
