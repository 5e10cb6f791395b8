"""Finished measurements in a folder, so that a run can be resumed."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streams.tools.bench.context import Measurement


class Store:
    """One JSON file per measurement, named by all that its figures depend on.

    Without a folder nothing is stored.
    """

    def __init__(self, folder: Path | None, rows: int, checksum: str, settings: object) -> None:
        self._folder = folder
        text = json.dumps([checksum, settings], sort_keys=True)
        self._key = f"{rows}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path | None:
        """Return the file of a measurement."""
        return self._folder / f"{name}-{self._key}.json" if self._folder else None

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a stored measurement; None if there is none, or its file is invalid."""
        path = self.path(name)
        try:
            kept = json.loads(path.read_bytes()) if path else None
        except (OSError, ValueError):
            return None
        return kept if isinstance(kept, dict) and {"rows", "figures"} <= kept.keys() else None

    def put(self, name: str, measured: Measurement, about: dict[str, Any]) -> dict[str, Any]:
        """Store a measurement and its conditions; return both as one object."""
        whole = {"measurement": name} | about | asdict(measured)
        if path := self.path(name):
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(whole, indent=1), encoding="utf-8")
            os.replace(partial, path)  # noqa: PTH105 - a rename is whole or nothing
        return whole
