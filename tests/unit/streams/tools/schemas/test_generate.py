"""The generated JSON Schemas and asyncapi.yaml: current, valid, and of one mind with the codec."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from streams.config.topics import TopicNames
from streams.tools.schemas.generate import document_text, drifted, write_documents
from streams.tools.schemas.schema import CONTRACTS, json_schema
from tests.support.malformed import MISSING, WRONG, drop, good_event, put
from visualsearch.contracts.search import (
    IndexInfo,
    SearchFault,
    SearchHit,
    SearchPlan,
    SearchResult,
    decode_request,
)

FOLDER = Path(__file__).parents[5] / "schemas"
EVENTS = [name for name in CONTRACTS if name.startswith("product-")]

REQUEST: dict[str, Any] = {
    "request_id": "r",
    "query": {"images": [{"url": "http://127.0.0.1:9/q.jpg", "weight": 0.7}],
              "texts": [{"text": "blue"}, {"text": "striped", "weight": -1}]},
    "filters": {"category": ["Shirts"], "price_max": 60, "in_stock": True},
    "top_k": 40,
}  # fmt: skip


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return a validator of the checked-in file."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_bytes())
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_file_is_a_valid_schema_with_a_name(name: str) -> None:
    """Draft 2020-12, identified, titled and described."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:visualsearch:schema:{name}"
    assert schema["title"] == CONTRACTS[name].__name__
    assert schema["description"]
    if name in EVENTS:
        assert schema["properties"]["event_type"]["const"] == name


def test_the_files_are_those_that_the_types_give() -> None:
    """Else run: make schemas."""
    assert drifted(FOLDER) == []


def test_what_drifted_is_named_and_written_again(tmp_path: Path) -> None:
    """An edited and an absent file; what fits is left alone."""
    folder = tmp_path / "new" / "schemas"
    assert len(write_documents(folder)) == len(CONTRACTS) + 1
    (folder / "search-request.schema.json").write_text("{}")
    (folder / "asyncapi.yaml").unlink()
    assert drifted(folder) == ["search-request", "asyncapi"]
    assert write_documents(folder) == ["search-request", "asyncapi"]
    assert write_documents(folder) == []


@pytest.mark.parametrize("name", EVENTS)
def test_a_good_event_is_valid(name: str) -> None:
    """Of each type, with fields that the type does not know."""
    validator(name).validate(good_event("p", name) | {"extra": 1})


@pytest.mark.parametrize("path", MISSING)
def test_an_event_without_a_required_field_is_invalid(path: str) -> None:
    """The schema requires what the codec requires."""
    assert not validator("product-created").is_valid(drop(good_event("p"), path))


# What the codec checks and a JSON Schema cannot say without asserting formats.
NOT_IN_SCHEMA = {"occurred_at"}


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values in WRONG if path not in NOT_IN_SCHEMA for value in values],
    ids=lambda part: str(part)[:40],
)
def test_an_event_with_a_wrong_value_is_invalid(path: str, value: object) -> None:
    """Everything that the codec refuses in a field, the schema refuses too."""
    assert not validator("product-created").is_valid(put(good_event("p"), path, value))


def test_an_event_of_another_type_is_invalid() -> None:
    """`event_type` is a constant of each schema."""
    assert not validator("product-created").is_valid(good_event("p", "product-updated"))


def test_a_request_is_valid_and_a_misspelt_one_is_not() -> None:
    """As the codec has it: unknown fields are refused."""
    request = validator("search-request")
    request.validate(REQUEST)
    decode_request(json.dumps(REQUEST).encode())
    assert not request.is_valid(REQUEST | {"topk": 3})
    assert not request.is_valid(REQUEST | {"filters": {"colour": ["blue"]}})
    both = {"images": [{"url": "a", "data": "b"}]}
    assert not request.is_valid(REQUEST | {"query": both})


def test_results_as_we_encode_them_are_valid() -> None:
    """An answer with hits, and an error."""
    hit = SearchHit(product_id="p", score=0.5, image_id="front", title="Shirt", price=1.0)
    plan = SearchPlan(strategy="exact", selectivity=1.0, matches=1, visited=1)
    info = IndexInfo(products=1, vectors=1, model="lite:1")
    answer = SearchResult(request_id="r", status="ok", hits=[hit], plan=plan, index=info)
    fault = SearchFault(code="query_invalid", message="no query", field="query")
    error = SearchResult(request_id="r", status="error", error=fault)
    for result in (answer, error):
        validator("search-result").validate(json.loads(msgspec.json.encode(result)))


def references(node: Any) -> list[str]:
    """Return every `$ref` in a document."""
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for value in node.values() for found in references(value)]


def test_asyncapi_names_the_topics_and_its_references_lead_somewhere() -> None:
    """The channels are the program's default topics; the document is complete in itself."""
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_bytes())
    assert document["asyncapi"] == "3.0.0"
    names = TopicNames()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {getattr(names, field) for field in TopicNames.__dataclass_fields__}
    found = references(document)
    assert len(found) > 50
    for reference in found:
        target = document
        assert reference.startswith("#/")
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
    headers = document["components"]["messages"]["searchRequest"]["headers"]["properties"]
    assert {"reply_to", "correlation_id", "traceparent"} <= set(headers)


def test_asyncapi_is_the_same_document_in_yaml_and_json() -> None:
    """The program writes YAML itself; a YAML library reads the same values back."""
    document = json.loads(document_text("asyncapi", as_json=True))
    assert yaml.safe_load(document_text("asyncapi")) == document
    assert "must ignore fields" in document["info"]["description"]


def test_the_schema_of_a_contract_can_be_had_without_files() -> None:
    """For programs that validate before they publish."""
    assert json_schema("product-deleted")["required"] == [
        "event_type", "event_id", "occurred_at", "product",
    ]  # fmt: skip
