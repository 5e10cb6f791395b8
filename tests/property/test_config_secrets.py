"""What is printed for people to share holds no secret."""

import json

from hypothesis import given
from hypothesis import strategies as st

from streams.cli.config import masked

_secrets = st.text("ABCXYZ0123/@:?#&=%+;,~ ", min_size=1)


@given(user=_secrets, password=_secrets, signature=st.text("ABC0123/%+=:@", min_size=1))
def test_no_character_of_a_secret_is_printed(user: str, password: str, signature: str) -> None:
    """The secrets share no character with the rest of the URLs."""
    urls = [
        f"s3://{user}:{password}@bucket/path",
        f"simplecache::s3://{user}:{password}@bucket",
        f"https://host/path?sig={signature}&x={signature}",
        f"https://user:{password}@host/path?sig={signature}",
        f"{user}:{password}@proxy",
    ]
    printed = json.dumps(masked({"one": urls[0], "some": urls, "nested": [[urls]]}))
    assert not set("ABCXYZ0123") & set(printed.replace("s3:", "")), printed
