"""Catalogs as files: what each reader gives, and what it says of rows that it cannot."""

import json
from pathlib import Path, PurePath

import pytest

from streams.tools.catalog.folder_rows import product_id_of_path
from streams.tools.catalog.readers import open_catalog
from streams.tools.catalog.rows import CatalogError, RejectedRow, Row
from tests.support.fakes import jpeg


def rows(path: Path) -> list[Row | RejectedRow]:
    """Read all of a catalog."""
    return list(open_catalog(path).rows)


def products(path: Path) -> list[dict[str, object]]:
    """Read a catalog of which nothing is rejected."""
    found = rows(path)
    assert all(isinstance(row, Row) for row in found), found
    return [dict(row.product) for row in found if isinstance(row, Row)]


def test_jsonl_gives_each_line_with_its_number(tmp_path: Path) -> None:
    """Empty lines count but give nothing; a byte order mark is no part of the first line."""
    file = tmp_path / "c.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"product_id": "a"}\n\n  \n{"product_id": "b"}')
    assert [row.where for row in rows(file)] == ["line 1", "line 4"]
    assert products(file) == [{"product_id": "a"}, {"product_id": "b"}]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"product_id": ', "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[1]", "not_an_object"),
        (b'"text"', "not_an_object"),
    ],
)
def test_a_broken_line_is_rejected_and_the_next_one_read(
    tmp_path: Path, line: bytes, code: str
) -> None:
    """One bad line costs one product."""
    file = tmp_path / "c.jsonl"
    file.write_bytes(b'{"product_id": "a"}\n' + line + b'\n{"product_id": "b"}\n')
    first, bad, last = rows(file)
    assert isinstance(bad, RejectedRow)
    assert (bad.where, bad.code) == ("line 2", code)
    assert isinstance(first, Row)
    assert isinstance(last, Row)


def test_position_ends_at_the_total(tmp_path: Path) -> None:
    """A progress bar reaches its end, for bytes of a file and for files of a folder alike."""
    (tmp_path / "c.jsonl").write_text('{"a": 1}\n{"b": "ü"}\n')
    (tmp_path / "c.csv").write_text("product_id,title\na,ü\nb,x\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.jpg").write_bytes(jpeg((1, 2, 3)))
    for name in ("c.jsonl", "c.csv", "shop"):
        catalog = open_catalog(tmp_path / name)
        positions = [row.position for row in catalog.rows]
        assert positions == sorted(positions)
        assert positions[-1] == catalog.total, name


def test_csv_takes_lists_attributes_and_pictures_from_cells(tmp_path: Path) -> None:
    """Images are paths or URLs, tags a list, `attributes.x` an attribute; empty is absent."""
    file = tmp_path / "c.csv"
    file.write_text(
        "product_id,title,price,tags,images,attributes.color,brand\n"
        'a,A,12.50,"men, summer",x.jpg|http://h/y.jpg,red,\n'
        "b,B,,one|two words,,,\n"
    )
    first, second = products(file)
    assert first == {
        "product_id": "a",
        "title": "A",
        "price": "12.50",
        "tags": ["men", "summer"],
        "images": [{"path": "x.jpg"}, {"url": "http://h/y.jpg"}],
        "attributes": {"color": "red"},
    }
    assert second == {
        "product_id": "b",
        "title": "B",
        "tags": ["one", "two words"],
        "images": [],
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_delimiter_is_the_headers(tmp_path: Path, delimiter: str) -> None:
    """Spreadsheets of many countries separate by semicolons."""
    file = tmp_path / "c.csv"
    lines = (("product_id", "title", "image"), ("a", "T", "a.jpg"))
    file.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert products(file) == [{"product_id": "a", "title": "T", "images": [{"path": "a.jpg"}]}]


def test_csv_rows_are_named_by_their_first_line(tmp_path: Path) -> None:
    """A quoted cell may span lines; the next row is still found where an editor shows it."""
    file = tmp_path / "c.csv"
    file.write_bytes(b'product_id,title\na,"one\ntwo"\nb,B,too many\nc,\xff\nd,D\n')
    first, too_many, not_utf8, last = rows(file)
    assert [row.where for row in (first, last)] == ["line 2", "line 6"]
    assert isinstance(too_many, RejectedRow)
    assert (too_many.where, too_many.code) == ("line 4", "cells_too_many")
    assert isinstance(not_utf8, RejectedRow)
    assert (not_utf8.where, not_utf8.code, not_utf8.field) == ("line 5", "not_utf8", "title")


def test_csv_without_the_needed_columns_is_no_catalogue(tmp_path: Path) -> None:
    """Every row would fail for the same reason: it is said once."""
    file = tmp_path / "c.csv"
    file.write_text("id,title\na,A\n")
    with pytest.raises(CatalogError, match="product_id"):
        rows(file)


def test_folder_gives_a_product_per_picture(tmp_path: Path) -> None:
    """The folder is the category, the file's name the title; other files are passed over."""
    for name in ("Shoes/red_boot-2.jpg", "Women/Red Dresses/x.PNG", "top.webp", "Shoes/a.txt",
                 ".git/y.jpg", "Shoes/.hidden.jpg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert products(tmp_path) == [
        {
            "product_id": "Shoes/red_boot-2",
            "title": "red boot 2",
            "category": "Shoes",
            "images": [{"path": "Shoes/red_boot-2.jpg"}],
        },
        {
            "product_id": "Women/Red-Dresses/x",
            "title": "x",
            "category": "Women/Red Dresses",
            "images": [{"path": "Women/Red Dresses/x.PNG"}],
        },
        {"product_id": "top", "title": "top", "images": [{"path": "top.webp"}]},
    ]


def test_safe_ids_are_short_steady_and_tell_long_paths_apart() -> None:
    """An id has at most 256 characters; the same path gives the same one in every run."""
    long = "x" * 300
    one, other = (
        product_id_of_path(PurePath(long + "1.jpg")),
        product_id_of_path(PurePath(long + "2.jpg")),
    )
    assert one != other
    assert max(len(one), len(other)) <= 256
    assert product_id_of_path(PurePath(long + "1.jpg")) == one
    assert product_id_of_path(PurePath("a b/ç é.jpg")) == "a-b/ç-é"


@pytest.mark.parametrize("name", ["missing", "notes.txt", "empty"])
def test_what_is_no_catalogue_is_said_so(tmp_path: Path, name: str) -> None:
    """A wrong path, a file of another kind and a folder without images have one line each."""
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError) as caught:
        open_catalog(tmp_path / name)
    assert caught.value.code == "catalog_unreadable"
    assert name in str(caught.value)


def test_jsonl_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    """A catalog of millions is never in memory: the second line is not read with the first."""
    file = tmp_path / "c.jsonl"
    file.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(3)))
    iterator = open_catalog(file).rows
    assert next(iterator).position == len('{"n": 0}\n')
