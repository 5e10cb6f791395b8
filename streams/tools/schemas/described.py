"""Descriptions of the contracts' fields, read from the docstring under each field."""

import ast
import inspect
from itertools import pairwise
from textwrap import dedent

import msgspec

from visualsearch.contracts import events, explained, requests, results, workers

STRUCTS: dict[str, type[msgspec.Struct]] = {
    name: found
    for module in (events, explained, requests, results, workers)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, msgspec.Struct) and found is not msgspec.Struct
}
"""Every type of a published message, and of what it holds, by name."""

_TAGS = {"event_type": "Type of the event."}


def field_texts(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the description of each field that has one, inherited fields too.

    Python keeps no docstrings of fields: they are read from the source of the class.
    """
    texts = dict(_TAGS)
    for cls in struct.__mro__:
        if cls is not msgspec.Struct and issubclass(cls, msgspec.Struct):
            (definition,) = ast.parse(dedent(inspect.getsource(cls))).body
            assert isinstance(definition, ast.ClassDef)  # noqa: S101 - for the type checker
            texts |= _texts_in(definition)
    return texts


def _texts_in(definition: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
