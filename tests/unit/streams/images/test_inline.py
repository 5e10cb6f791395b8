"""Images inside of messages: base64 of any make, within a limit."""

import base64

import pytest

from streams.images.errors import FetchError
from streams.images.inline import decode_base64

LIMIT = 4096


def test_base64_is_decoded_with_or_without_a_data_prefix() -> None:
    """As browsers give it, too."""
    text = base64.b64encode(b"pict").decode()
    assert decode_base64(text, 4) == b"pict"
    assert decode_base64(f"data:image/jpeg;base64,{text}", 4) == b"pict"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("§", "image_data_invalid"),
        ("abc", "image_data_invalid"),
        ("YW Jj", "image_data_invalid"),
        ("data:image/jpeg,abc", "image_data_invalid"),
        ("data:image/jpeg;base64", "image_data_invalid"),
        (base64.b64encode(bytes(LIMIT + 1)).decode(), "image_too_large"),
        ("A" * 100_000, "image_too_large"),
    ],
)
def test_bad_base64_has_a_code(text: str, code: str) -> None:
    """Too much is refused before it is decoded."""
    with pytest.raises(FetchError) as caught:
        decode_base64(text, LIMIT)
    assert caught.value.code == code
    assert len(decode_base64(base64.b64encode(bytes(LIMIT)).decode(), LIMIT)) == LIMIT
