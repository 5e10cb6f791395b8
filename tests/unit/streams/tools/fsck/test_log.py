"""The index log as a witness of what truncated topics no longer tell."""

from streams.tools.fsck.history import Claim, ExpectedImages, ExpectedProduct
from streams.tools.fsck.log import content_hashes, fold_log
from streams.tools.fsck.values import Message, OfferFields, ProductFields, ServedImage
from visualsearch.contracts.records import (
    BaseLogRecord,
    IndexRecord,
    LogImageVector,
    OfferLogRecord,
    VectorsLogRecord,
    encode_record,
    record_key,
)

LOWS = {("t", 0): 10}


def record(product_id: str, what: IndexRecord, source: str | None) -> Message:
    """Return a log record that says where it comes from."""
    key = record_key(what.__struct_config__.tag, product_id)  # type: ignore[arg-type]
    headers = () if source is None else (("source", source.encode()),)
    return Message("index-log", 0, 0, 0, key, encode_record(what), headers)


def test_records_of_truncated_events_are_the_truth_and_others_are_not() -> None:
    """The newest of each kind; a record of an event that is still there must not vouch for it."""
    products: dict[str, ExpectedProduct] = {}
    image = LogImageVector(image_id="0", vector=b"", url="http://h/0", content_hash="ab")
    told = fold_log(
        [
            record("p", BaseLogRecord(order=(1, 3, 0), title="old"), "t[0]@3"),
            record("p", BaseLogRecord(order=(2, 4, 1), title="new"), "t[0]@4"),
            record("p", OfferLogRecord(order=(2, 4, 1), price=1.0), "t[0]@4"),
            record("p", VectorsLogRecord(order=(2, 4, 1), images=[image]), "t[0]@4"),
            record("q", BaseLogRecord(order=(9, 11, 0)), "t[0]@11"),
            record("r", BaseLogRecord(order=(9, 3, 0)), "t[1]@3"),  # of a partition that is whole
            Message("index-log", 0, 0, 0, b"other:p", b""),
        ],
        products,
        LOWS,
    )
    assert told == 3
    assert products == {"p": ExpectedProduct(
        [Claim((2, 4, 1), ("t", 0, 4), ProductFields(title="new"))],
        [Claim((2, 4, 1), ("t", 0, 4), OfferFields(price=1.0))],
        [Claim((2, 4, 1), ("t", 0, 4), ExpectedImages([ServedImage("0", url="http://h/0")]))],
    )}  # fmt: skip


def test_an_event_that_is_there_is_not_overruled() -> None:
    """Newer than the truncated one; a record without a source is believed only if alone."""
    here = Claim((5, 12, 1), ("t", 0, 12), OfferFields(price=5.0))
    products = {"p": ExpectedProduct(offer=[here])}
    log = [
        record("p", OfferLogRecord(order=(1, 3, 0), price=1.0), "t[0]@3"),
        record("p", OfferLogRecord(order=(7, 3, 0), price=7.0), None),
        record("n", OfferLogRecord(order=(7, 3, 0), price=7.0), None),
    ]
    fold_log(log, products, LOWS)
    assert products["p"].offer == [here]
    assert [claim.order for claim in products["n"].offer] == [(7, 3, 0)]


def test_the_hashes_of_what_was_indexed() -> None:
    """Of the wanted products only."""
    image = LogImageVector(image_id="0", vector=b"", url="u", content_hash="ab")
    log = [record(p, VectorsLogRecord(order=(1, 0, 0), images=[image]), None) for p in ("p", "q")]
    assert content_hashes(log, {"p"}) == {("p", "0"): {"ab"}}
