"""Retry messages: the event as it was, and where it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages import OutgoingMessage, SourceMessage
from streams.retry import (
    Attempt,
    Retry,
    RetryError,
    not_before_ms,
    original_place,
    parse_retry,
    retry_message,
)

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
    assert original_place(first) == message.source
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
    """Somebody else's message must not wait for ever, nor be taken for an event."""
    message = SourceMessage("product-retry", 0, 0, 0, b"p", b"{}", headers)
    assert not_before_ms(message) == 0
    assert original_place(message) == message.source
    with pytest.raises(RetryError):
        parse_retry(message)
