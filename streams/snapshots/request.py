"""Client of `POST /v1/snapshots`: requests a snapshot from a running worker."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import msgspec

from visualsearch.errors import VisualSearchError

# No proxy of the environment: a worker is near.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SnapshotRequestError(VisualSearchError):
    """A worker that gave no snapshot: `worker_unreachable`, `worker_foreign`, or its own code."""

    code = "worker_unreachable"


def request_snapshot(
    url: str,
    progress: Callable[[str, int, int], object] = lambda *_: None,
    *,
    timeout_s: float = 600.0,
) -> dict[str, Any]:
    """Have the worker at `url` take a snapshot; return its JSON. Raises SnapshotRequestError.

    `timeout_s` limits the time between two lines of progress.
    """
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/snapshots", data=b"")  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            for line in answer:
                parsed = _parse_line(line, url)
                if "progress" in parsed:
                    step = parsed["progress"]
                    progress(step["step"], step["done"], step["total"])
                elif "snapshot" in parsed:
                    found: dict[str, Any] = parsed["snapshot"]
                    return found
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:
                _parse_line(error.read(), url)
        text = f"{url} answers {error.code}: is it a worker with the role `search`?"
        raise SnapshotRequestError(text, code="worker_foreign") from None
    except (OSError, HTTPException, ValueError) as error:
        raise SnapshotRequestError(f"{url}: {error}") from None
    raise SnapshotRequestError(f"{url} ended before the snapshot did")


def _parse_line(line: bytes, url: str) -> dict[str, Any]:
    """Decode a line. Raises SnapshotRequestError for an error and for an invalid line."""
    try:
        parsed = msgspec.json.decode(line, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise SnapshotRequestError(
            f"{url}: {error}: {line[:200]!r}", code="worker_foreign"
        ) from None
    if (fault := parsed.get("error")) is not None:
        raise SnapshotRequestError(str(fault.get("message")), code=str(fault.get("code")))
    return parsed
