"""Numbers in headers and URLs, which anybody may write."""

import re

_DIGITS = re.compile(r"[0-9]{1,19}")
LARGEST = 2**63 - 1
"""Of Kafka's offsets and times."""


def parse_int64(text: str | bytes | None) -> int | None:
    """Read digits of ASCII as a number of 0 to 2**63 - 1; None for anything else.

    `int` raises ValueError for more than 4,300 digits, and reads digits of any script.
    """
    digits = text.decode("ascii", "replace") if isinstance(text, bytes) else text or ""
    number = int(digits) if _DIGITS.fullmatch(digits) else LARGEST + 1
    return number if number <= LARGEST else None
