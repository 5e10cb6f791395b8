"""What a reader and a code generator find in the documents: texts, examples and names."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from streams.tools.schemas.asyncapi import asyncapi_document
from streams.tools.schemas.described import STRUCTS, field_texts
from streams.tools.schemas.examples import EXAMPLES
from streams.tools.schemas.schema import CONTRACTS, json_schema
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.events import EVENT_TYPES
from visualsearch.contracts.search import decode_request, decode_result
from visualsearch.contracts.workers import decode_heartbeat

DOCUMENTS: dict[str, dict[str, Any]] = {name: json_schema(name) for name in CONTRACTS}
DEFINITION = re.compile(r"#(/\$defs/\w+|/components/schemas/\w+)?")
DEFAULTS = (False, None, "search", "catalog")
DOCUMENTS["asyncapi"] = asyncapi_document()["components"]["schemas"]


def schemas_in(schema: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema within a document, with its path; conditions are not types."""
    yield path, schema
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            for name, inner in value.items():
                yield from schemas_in(inner, f"{path}/{key}/{name}")
        elif key in {"items", "additionalProperties"} and isinstance(value, dict):
            yield from schemas_in(value, f"{path}/{key}")
        elif key == "anyOf":
            for number, inner in enumerate(value):
                yield from schemas_in(inner, f"{path}/{key}/{number}")


def all_schemas(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every schema of a document."""
    if name != "asyncapi":
        return list(schemas_in(DOCUMENTS[name]))
    return [
        found
        for title, schema in DOCUMENTS[name].items()
        for found in schemas_in(schema, f"#/components/schemas/{title}")
    ]


def properties_in(name: str) -> dict[str, dict[str, Any]]:
    """Return every property of every object of a document, by path."""
    return {
        path: schema
        for path, schema in all_schemas(name)
        if path.split("/")[-2:-1] == ["properties"]
    }


def decode(name: str, message: dict[str, Any]) -> object:
    """Decode a message as those do who read it."""
    value = json.dumps(message).encode()
    if name in EVENT_TYPES:
        key = message["product"]["product_id"].encode()
        return decode_event(value, key=key, headers=[], timestamp_ms=0, source="t[0]@0")
    others = {
        "search-request": decode_request,
        "search-result": decode_result,
        "worker-heartbeat": decode_heartbeat,
    }
    return others[name](value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_property_is_described(name: str) -> None:
    """In a sentence that begins and ends as one."""
    found = properties_in(name)
    assert len(found) >= 4
    texts = {path: schema.get("description", "") for path, schema in found.items()}
    assert {p: t for p, t in texts.items() if not re.fullmatch(r"[A-Z`].+\.", t)} == {}
    for path, text in texts.items():
        for sentence in re.split(r"(?<=[.;:]) ", text):
            assert len(sentence.split()) <= 30, path


def test_a_field_without_a_text_has_no_description() -> None:
    """So that the test above fails for it; an inherited field keeps its own."""

    class Parent(msgspec.Struct):
        kept: int
        """From the
        parent."""

    class Child(Parent):
        bare: int
        told: int = 0
        """From the child."""

    texts = field_texts(Child)
    assert (texts["kept"], texts["told"]) == ("From the parent.", "From the child.")
    assert "bare" not in texts


def test_every_type_says_what_it_is_under_a_name_of_its_own() -> None:
    """Two types of one name would be told apart by their modules' names."""
    for title, schema in DOCUMENTS["asyncapi"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", title)
        assert schema["title"] == title
        if schema["type"] == "object":
            assert schema["description"] == STRUCTS[title].__doc__


def is_object(schema: dict[str, Any]) -> bool:
    """Tell whether a schema is, or holds, an object whose own properties have examples."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2] in STRUCTS
    inner = [schema[key] for key in ("items", "additionalProperties") if key in schema]
    return any(map(is_object, inner + schema.get("anyOf", [])))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_property_has_an_example_that_fits_it(name: str) -> None:
    """Of objects, their own properties have."""
    document = DOCUMENTS[name]
    root = {"components": {"schemas": document}} if name == "asyncapi" else document
    reader = jsonschema.Draft202012Validator(root)
    for path, schema in properties_in(name).items():
        if is_object(schema) or "const" in schema:
            continue
        assert schema.get("examples"), path
        for example in schema["examples"]:
            assert list(reader.descend(example, schema)) == [], path


@pytest.mark.parametrize(
    ("name", "message"),
    [(name, message) for name, messages in EXAMPLES.items() for message in messages],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_example_is_valid_and_is_decoded(name: str, message: dict[str, Any]) -> None:
    """By the published schema, which shows it, and by the codec, which keeps all of it."""
    jsonschema.Draft202012Validator(DOCUMENTS[name]).validate(message)
    assert message in DOCUMENTS[name]["examples"]
    decoded = decode(name, message)
    assert type(decoded) is CONTRACTS[name]
    assert lost(message, msgspec.json.decode(msgspec.json.encode(decoded))) == []


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Return where a value is not what it was; defaults may be left out."""
    if isinstance(given, dict):
        return [
            found
            for name, inner in given.items()
            if name in kept or inner not in DEFAULTS
            for found in lost(inner, kept.get(name), f"{path}.{name}")
        ]
    if isinstance(given, list):
        return [
            found
            for number, (one, other) in enumerate(zip(given, kept, strict=True))
            for found in lost(one, other, f"{path}[{number}]")
        ]
    return [] if given == kept else [path]


def test_asyncapi_shows_the_examples_of_every_message() -> None:
    """Each with a name of its own, and valid as draft-07, which is what AsyncAPI's schemas are."""
    messages = asyncapi_document()["components"]["messages"].values()
    for message in messages:
        for example in message.get("examples", []):
            schema = message["payload"] | {"components": {"schemas": DOCUMENTS["asyncapi"]}}
            jsonschema.Draft7Validator(schema).validate(example["payload"])
            assert not jsonschema.Draft7Validator(schema).is_valid({})
    shown = {message["name"]: message["examples"] for message in messages if "payload" in message}
    assert {name: [each["payload"] for each in found] for name, found in shown.items()} == EXAMPLES
    names = [each["name"] for found in shown.values() for each in found]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_code_generator_has_to_invent_a_name(name: str) -> None:
    """Objects, enumerations, choices and limited items of lists are references or have titles."""
    nameless = [
        path
        for path, schema in all_schemas(name)
        if "title" not in schema
        and (
            "object" in schema.get("type", ())
            or {"enum", "anyOf"} & schema.keys()
            or (path.endswith("/items") and schema.keys() - {"$ref", "type"})
        )
    ]
    assert nameless == []
    inline = [
        path
        for path, schema in all_schemas(name)
        if {"properties", "enum"} & schema.keys() and not DEFINITION.fullmatch(path)
    ]
    assert inline == []


def test_asyncapi_has_names_for_messages_and_headers() -> None:
    """Its ids are names in most languages, as they stand."""
    document = asyncapi_document()
    for ids in (document["channels"], document["operations"], document["components"]["messages"]):
        assert [each for each in ids if not re.fullmatch(r"[a-z][A-Za-z]+", each)] == []
    for message in document["components"]["messages"].values():
        assert message["headers"]["title"] == f"{message['title']}Headers"
        for header in message["headers"]["properties"].values():
            assert header["description"].endswith(".")
            assert header["examples"]
