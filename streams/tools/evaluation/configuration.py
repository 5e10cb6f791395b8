"""A configuration to evaluate: an encoder, and fields of the search requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visualsearch.contracts.search import SearchRequest
from visualsearch.errors import VisualSearchError

_FIELDS = {"name", "encoder", "prompts", "device", "recall_target", "request"}


class ConfigurationError(VisualSearchError):
    """A configuration that cannot be used."""

    code = "configuration_invalid"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to search. `request` holds fields of a search request; they win over a query's."""

    name: str
    encoder: str = "lite"
    prompts: tuple[str, ...] = ()
    device: str | None = None
    recall_target: float | None = None
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def index_key(self) -> tuple[Any, ...]:
        """The key of the index: configurations with equal keys share one."""
        return self.encoder, self.prompts, self.device, self.recall_target


def read_configuration(given: str, base: Configuration) -> Configuration:
    """Return a configuration from a JSON file, or one that differs by its encoder alone.

    Fields that a file lacks are as in `base`. Raises ConfigurationError.
    """
    path = Path(given)
    if path.suffix != ".json":
        return Configuration(given, given, base.prompts, base.device, base.recall_target)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: expected an object")
    if unknown := sorted(found.keys() - _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise ConfigurationError(f"{path}: unknown {', '.join(unknown)}; known are {known}")
    request = found.get("request", {})
    if not isinstance(request, dict):
        raise ConfigurationError(f"{path}: request: expected an object")
    if unknown := sorted(request.keys() - set(SearchRequest.__struct_fields__)):
        raise ConfigurationError(f"{path}: request: no such field: {', '.join(unknown)}")
    return Configuration(
        str(found.get("name", path.stem)),
        str(found.get("encoder", base.encoder)),
        tuple(found.get("prompts", base.prompts)),
        found.get("device", base.device),
        found.get("recall_target", base.recall_target),
        request,
    )
