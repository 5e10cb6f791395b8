"""What the index is measured on: drawn vectors, files, groups of rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.tools.bench.clustered import Clustered
from streams.tools.bench.data import InputError, generate_dataset, load_dataset, load_vectors
from streams.tools.bench.truth import nearest, recall

ROWS = 4_000


@pytest.fixture(scope="module")
def drawn() -> Any:
    """Return a small data set of the default kind."""
    return generate_dataset(ROWS, 200)


def saved(folder: Path, array: np.ndarray, name: str = "v.npy") -> Path:
    """Write an array to a file."""
    np.save(folder / name, array)
    return folder / name


def test_drawn_vectors_are_like_those_of_pictures(drawn: Any) -> None:
    """Unit length, cosine .5 to any other, clusters of very different sizes, near duplicates."""
    pairs = np.random.default_rng(0).integers(0, ROWS, (2, 20_000))
    cosines = np.einsum("ij,ij->i", drawn.vectors[pairs[0]], drawn.vectors[pairs[1]])
    sizes = np.sort(np.bincount(drawn.category))
    _, near = nearest(drawn.vectors, drawn.vectors[:1_000], 2)
    assert np.allclose(np.linalg.norm(drawn.vectors, axis=1), 1.0, atol=1e-5)
    assert 0.47 < cosines.mean() < 0.53
    assert sizes[-1] > 10 * np.median(sizes)
    assert 0.02 < np.mean(near[:, 1] > 0.999) < 0.1  # a copy, and the row that it is a copy of


def test_queries_are_partly_like_rows_and_partly_apart(drawn: Any) -> None:
    """Those like images have a near row; those like words have none, and lie elsewhere."""
    _, best = nearest(drawn.vectors, drawn.queries, 1)
    near = best[:, 0] > 0.8
    assert 0.55 < near.mean() < 0.65
    assert (drawn.queries[~near] @ drawn.vectors.mean(axis=0)).mean() < 0.2


def test_the_same_seed_draws_the_same_and_another_part_other_rows() -> None:
    """A result is named by the numbers that it was measured on."""
    one, again = generate_dataset(2_000, 20, 32), generate_dataset(2_000, 20, 32)
    assert one.checksum == again.checksum
    assert one.checksum != generate_dataset(2_000, 21, 32).checksum
    source = Clustered(32)
    assert not np.allclose(source.rows(100, 1)[0], source.rows(100, 2)[0])


@pytest.mark.parametrize("share", [0.5, 0.04, 0.001])
def test_related_rows_are_as_many_as_asked_for_and_alike(drawn: Any, share: float) -> None:
    """A correlated filter keeps rows that are nearer to each other than to the others."""
    mask = drawn.related(share, seed=3)
    assert mask.sum() == round(share * ROWS)
    inside, outside = drawn.vectors[mask], drawn.vectors[~mask]
    assert (inside @ inside.mean(axis=0)).mean() > (outside @ inside.mean(axis=0)).mean()
    near, _ = nearest(drawn.vectors, drawn.near(np.flatnonzero(mask), 50, 1), 1)
    assert mask[near[:, 0]].mean() > 0.9


def test_vectors_of_a_file_are_made_unit_length_and_get_categories(tmp_path: Path) -> None:
    """Any scale and any float type will do."""
    raw = (3 * np.random.default_rng(1).standard_normal((2_100, 24))).astype(np.float16)
    data = load_dataset(saved(tmp_path, raw), None, None, 2_050, 40)
    assert data.vectors.shape == (2_050, 24)
    assert data.queries.shape == (40, 24)
    assert np.allclose(np.linalg.norm(data.vectors, axis=1), 1.0, atol=1e-5)
    assert len(np.unique(data.category)) > 10
    assert np.allclose(np.linalg.norm(data.more(10, 1), axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.ones(5, np.float32), r"\(n, d\)"),
        (np.ones((9, 4), np.int64), "float32"),
        (np.array([[1, 0], [0, 0]], np.float32), "row 1"),
        (np.array([[1, 0], [np.nan, 0]], np.float32), "row 1"),
        (np.array([[np.inf, 0], [1, 0]], np.float32), "row 0"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(
    tmp_path: Path, array: np.ndarray, named: str
) -> None:
    """The message names the file, what is wrong and what would be right."""
    with pytest.raises(InputError, match=named):
        load_vectors(saved(tmp_path, array))


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    """Nothing of a file is ever executed."""
    path = tmp_path / "x.npy"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"numpy\.save"):
        load_vectors(path)


def test_queries_and_filters_must_fit_the_vectors(tmp_path: Path) -> None:
    """Another dimension, a row that is not there, another form."""
    vectors = saved(tmp_path, np.random.default_rng(1).random((2_000, 8)).astype(np.float32))
    queries = saved(tmp_path, np.ones((5, 9), np.float32), "q.npy")
    with pytest.raises(InputError, match="9 dimensions"):
        load_dataset(vectors, queries, None, None, 20)
    filters = tmp_path / "f.json"
    for wrong in ('{"a": [2000]}', '{"a": [-1]}', '{"a": []}', '{"a": [0.5]}', "[1]", "{"):
        filters.write_text(wrong)
        with pytest.raises(InputError, match='"name"'):
            load_dataset(vectors, None, filters, None, 20)
    filters.write_text(json.dumps({"sale": [5, 1, 5]}))
    assert load_dataset(vectors, None, filters, None, 20).named["sale"].tolist() == [1, 5]


def test_exact_answers_are_those_of_a_whole_sort(drawn: Any) -> None:
    """Block by block comes to the same, also within some rows only."""
    rows = np.arange(0, ROWS, 3)
    queries = drawn.queries[:20]
    ids, scores = nearest(drawn.vectors, queries, 7, rows)
    whole = rows[np.argsort(-(queries @ drawn.vectors[rows].T), axis=1)[:, :7]]
    assert ids.tolist() == whole.tolist()
    assert (np.diff(scores, axis=1) <= 0).all()
    assert recall(list(ids), whole, 7) == 1.0
    assert recall([row[:0] for row in ids], whole, 7) == 0.0
