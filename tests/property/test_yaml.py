"""The YAML that `visualsearch schemas` writes says what a YAML library reads."""

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from streams.tools.schemas.yaml import as_yaml

texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=9)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["yes", "1e3", "2026-05-01", "a\nb: c\n", "# no comment", "- x", ""])
)
keys = texts | st.sampled_from(["on", "No", "null", "$ref", "a-b", "~", "x: y", "1", "=", "-"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
@example({"on": [[], {}, [[1]], [{"y": {"n": []}}]], "largest": [1e300, -1e15, 1e-7]})
def test_what_is_written_is_read(document: dict[str, Any]) -> None:
    """Of every shape, with texts that look like something else."""
    assert yaml.safe_load(as_yaml(document)) == document
