"""Retry messages: the event as it was, and where it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.retry import (
    Attempt,
    Retry,
    RetryError,
    not_before_ms,
    original_source,
    parse_retry,
    retry_message,
)
from streams.kafka.messages import SourceMessage
from visualsearch.client.messages import OutgoingMessage

HEADERS = st.lists(
    st.tuples(st.sampled_from(["a", "ce_id", "__visualsearch.order"]), st.none() | st.binary()),
    max_size=3,
).map(tuple)
MESSAGES = st.builds(
    SourceMessage, st.sampled_from(["t", "eu-product-events"]), st.integers(0, 99),
    st.integers(0, 2**63 - 1), st.integers(-1, 2**53), st.none() | st.binary(),
    st.none() | st.binary(), HEADERS,
)  # fmt: skip
ATTEMPTS = st.builds(
    Attempt,
    st.integers(0, 99),
    st.dictionaries(st.integers(0, 30), st.integers(0, 9)),
    st.integers(0, 99),
    st.frozensets(st.integers(0, 30)),
    st.just(True),
)


def as_read(sent: OutgoingMessage) -> SourceMessage:
    """Return it as its reader gets it, at another place and time."""
    return SourceMessage("product-retry", 3, 7, 5000, sent.key, sent.value, sent.headers)


@given(MESSAGES, ATTEMPTS, st.text())
def test_an_event_comes_back_as_it_was_first_read(
    message: SourceMessage, attempt: Attempt, text: str
) -> None:
    """Place, time, key, value and headers, also after several rounds."""
    retry = Retry(attempt, 10.0, "image_timeout", text)
    first = as_read(retry_message("product-retry", message, retry, now_ms=1000))
    assert parse_retry(first) == (message, attempt)
    assert not_before_ms(first) == 11_000
    assert original_source(first) == message.source
    original, _ = parse_retry(first)
    again = as_read(retry_message("product-retry", original, retry, now_ms=2000))
    assert parse_retry(again) == (message, attempt)


@pytest.mark.parametrize(
    "headers",
    [(), (("__visualsearch.retry.topic", b"t"),), (("__visualsearch.retry.not_before", None),)],
)
def test_what_no_worker_wrote_is_refused_and_due_at_once(
    headers: tuple[tuple[str, bytes | None], ...],
) -> None:
    """Somebody else's message must not wait forever, nor be taken for an event."""
    message = SourceMessage("product-retry", 0, 0, 0, b"p", b"{}", headers)
    assert not_before_ms(message) == 0
    assert original_source(message) == message.source
    with pytest.raises(RetryError):
        parse_retry(message)


NINES = b"9" * 5000
GOOD = {
    "topic": b"t", "partition": b"0", "offset": b"1", "timestamp": b"-1", "rounds": b"0:1",
    "passes": b"1", "tries": b"1", "told": b"", "not_before": b"5",
}  # fmt: skip


def forged(**facts: bytes) -> SourceMessage:
    """Return a message of `product-retry` whose headers anybody may have written."""
    headers = tuple((f"__visualsearch.retry.{name}", raw) for name, raw in (GOOD | facts).items())
    return SourceMessage("product-retry", 0, 0, 0, b"p", b"{}", headers)


@pytest.mark.parametrize("digits", [NINES, "٣".encode(), b"-1", b"+1", b" 1", b"1_0", b"1e3"])
def test_a_time_that_is_no_number_is_now(digits: bytes) -> None:
    """5,000 digits are more than `int` reads; the error ended the reader, at each start again."""
    assert not_before_ms(forged(not_before=digits)) == 0


@pytest.mark.parametrize(
    "facts",
    [
        *({name: NINES} for name in GOOD if name not in ("rounds", "told", "not_before")),
        {"offset": str(2**63).encode()},
        {"partition": b"-1"},
        {"timestamp": b"-2"},
        {"topic": b""},
        {"rounds": b"0:" + NINES},
        {"rounds": b"0"},
        {"rounds": b",".join(b"%d:1" % n for n in range(101))},
        {"told": NINES},
        {"told": b"1," * 5_000_000},
    ],
    ids=lambda facts: str(facts)[:40],
)
def test_headers_beyond_any_product_are_refused(facts: dict[str, bytes]) -> None:
    """Whoever may write to the topic may write anything."""
    assert parse_retry(forged())[0].offset == 1
    assert parse_retry(forged(offset=str(2**63 - 1).encode()))[0].offset == 2**63 - 1
    with pytest.raises(RetryError) as refused:
        parse_retry(forged(**facts))
    assert len(str(refused.value)) < 200
    assert original_source(forged(**facts)) == "product-retry[0]@0"
