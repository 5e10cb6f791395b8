"""JSON Schemas (draft 2020-12) of the contracts, with the names that code generators need."""

from collections.abc import Iterable
from typing import Any

import msgspec

from streams.tools.schemas.described import STRUCTS, field_texts
from streams.tools.schemas.examples import EXAMPLES
from visualsearch.contracts.events import EVENT_TYPES
from visualsearch.contracts.limits import MAX_BYTES, MAX_DEPTH, MAX_PARTS
from visualsearch.contracts.search import SearchRequest, SearchResult
from visualsearch.contracts.workers import WorkerHeartbeat

DRAFT = "https://json-schema.org/draft/2020-12/schema"
CONTRACTS: dict[str, type[msgspec.Struct]] = EVENT_TYPES | {
    "search-request": SearchRequest,
    "search-result": SearchResult,
    "worker-heartbeat": WorkerHeartbeat,
}

# What a struct checks in __post_init__ and a schema can say too: exactly one of two is given.
EXACTLY_ONE = {"ImageSource": ("url", "data"), "QueryImage": ("url", "data")}
_MOST_EXAMPLES = 3  # of one property

# What is checked before decoding, which no keyword of a schema can say.
_BOUNDS = (
    f"At most {MAX_BYTES:,} bytes, {MAX_PARTS:,} list items and object members in all, and "
    f"{MAX_DEPTH} levels of lists and objects."
)

Schema = dict[str, Any]


def json_schema(name: str) -> Schema:
    """Return the JSON Schema of one contract, with its `$defs`."""
    definitions = schemas_by_name([name], "#/$defs/")
    root = definitions.pop(CONTRACTS[name].__name__)
    return {
        "$schema": DRAFT,
        "$id": f"urn:visualsearch:schema:{name}",
        **root,
        "$comment": _BOUNDS,
        "$defs": definitions,
        "examples": EXAMPLES[name],
    }


def schemas_by_name(contracts: Iterable[str], prefix: str) -> dict[str, Schema]:
    """Return the schemas of contracts, and of all that they refer to, under `prefix`."""
    chosen = list(contracts)
    _, found = msgspec.json.schema_components(
        [CONTRACTS[name] for name in chosen], ref_template=prefix + "{name}"
    )
    definitions = _Definitions(prefix)
    for title, schema in found.items():
        definitions.by_name[title] = definitions.refine(schema)
        definitions.describe(title)
        if title in EXACTLY_ONE:
            definitions.by_name[title] |= _exactly_one(*EXACTLY_ONE[title])
    for name in chosen:
        for example in EXAMPLES[name]:
            definitions.note({"$ref": prefix + CONTRACTS[name].__name__}, example)
    return dict(sorted(definitions.by_name.items()))


class _Definitions:
    """Schemas by name; elsewhere, references stand for them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.by_name: dict[str, Schema] = {}

    def describe(self, title: str) -> None:
        """Give the properties of a type the texts that stand under its fields."""
        texts = field_texts(STRUCTS[title])
        properties = self.by_name[title]["properties"]
        for field in properties.keys() & texts.keys():
            properties[field] = {"description": texts[field]} | properties[field]

    def refine(self, schema: Schema) -> Schema:
        """Bring a schema, and those in it, into the form that code generators read best."""
        schema = {key: self._refine_in(key, value) for key, value in schema.items()}
        if "enum" in schema:
            return self._refine_enum(schema)
        if isinstance(items := schema.get("items"), dict) and "title" in items:
            schema["items"] = self._named(items)
        return _nullable(schema)

    def _refine_in(self, key: str, value: Any) -> Any:
        if key in {"items", "additionalProperties"} and isinstance(value, dict):
            return self.refine(value)
        if key == "anyOf":
            return [_untitled(self.refine(each)) for each in value]
        if key == "properties":
            return {name: _untitled(self.refine(each)) for name, each in value.items()}
        return value

    def _refine_enum(self, schema: Schema) -> Schema:
        """Make an enumeration of one value a constant, and any other a schema with a name."""
        if len(schema["enum"]) == 1:
            return {"type": "string", "const": schema["enum"][0]}
        default = {"default": schema.pop("default")} if "default" in schema else {}
        return self._named({"type": "string"} | schema) | default

    def _named(self, schema: Schema) -> Schema:
        if "title" in schema:
            self.by_name[schema["title"]] = schema
            return {"$ref": self._prefix + schema["title"]}
        return schema

    def note(self, schema: Schema, value: Any) -> None:
        """Take the values in an example as examples of the properties that they are values of."""
        for part in schema.get("anyOf", [schema]):
            target = self.by_name.get(part.get("$ref", "").removeprefix(self._prefix), part)
            if isinstance(value, dict):
                for name, inner in value.items():
                    self._note_member(target, name, inner)
            elif isinstance(value, list):
                for item in value:
                    self.note(target.get("items", {}), item)

    def _note_member(self, owner: Schema, name: str, value: Any) -> None:
        if not (schema := owner.get("properties", {}).get(name)):
            if isinstance(inner := owner.get("additionalProperties"), dict):
                self.note(inner, value)
            return
        self.note(schema, value)
        if value is None or self._is_of_objects(schema):
            return
        examples = schema.setdefault("examples", [])
        if value not in examples and len(examples) < _MOST_EXAMPLES:
            examples.append(value)

    def _is_of_objects(self, schema: Schema) -> bool:
        """Tell whether a schema is that of an object with examples of its own, or holds such."""
        inner = [*schema.get("anyOf", [])]
        inner += [schema[key] for key in ("items", "additionalProperties") if key in schema]
        target = self.by_name.get(schema.get("$ref", "").removeprefix(self._prefix), {})
        return "properties" in target or any(
            self._is_of_objects(each) for each in inner if isinstance(each, dict)
        )


def _untitled(schema: Schema) -> Schema:
    """Take the title off a text or number: only as an item of a list does it need a name."""
    if "anyOf" not in schema and "object" not in schema.get("type", "object"):
        schema.pop("title", None)
    return schema


def _nullable(schema: Schema) -> Schema:
    """Say `type: [string, null]` instead of a choice of two schemas; name it where it must stay."""
    choice: list[Schema] = schema.get("anyOf", [])
    if len(choice) != 2 or choice[1] != {"type": "null"}:
        return schema
    if reference := choice[0].get("$ref"):
        return {"title": "Optional" + reference.rpartition("/")[2]} | schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return choice[0] | {"type": [choice[0]["type"], "null"]} | rest


def _exactly_one(one: str, other: str) -> Schema:
    """Say that one property is given, and the other absent or null.

    `oneOf` would say so too, and code generators would make two types of it.
    """
    given: Schema = {"type": "string"}
    return {
        "if": {"required": [one], "properties": {one: given}},
        "then": {"properties": {other: {"type": "null"}}},
        "else": {"required": [other], "properties": {other: given}},
    }
