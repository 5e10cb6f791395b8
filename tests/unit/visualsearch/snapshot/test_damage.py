"""Damaged snapshots: every file cut off or changed in one byte, always refused, never believed."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.support.snapshots import DIM, FLAT, LISTED, MODEL, engine_of, restored, written
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import FILES, NAME, encode_manifest, read_manifest
from visualsearch.snapshot.read import check, restore

CASES = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a snapshot with all kinds of files."""
    path = written(engine_of(), tmp_path_factory.mktemp("whole"))
    assert {file.name for file in path.iterdir()} == {NAME, *FILES["ivfpq"]}
    return path


def damage(file: Path, rng: random.Random) -> str:
    """Cut the file off or change one byte of it; say which."""
    data = bytearray(file.read_bytes())
    place = rng.randrange(len(data))
    if rng.random() < 0.5:
        file.write_bytes(bytes(data[:place]))
        return "cut"
    data[place] ^= 1 << rng.randrange(8)
    file.write_bytes(bytes(data))
    return "changed"


def test_any_cut_and_any_changed_byte_is_refused(whole: Path, tmp_path: Path) -> None:
    """Five hundred of them: SnapshotError and nothing else, and the older one can be taken."""
    rng = random.Random(6)
    codes: Counter[str] = Counter()
    names = sorted(file.name for file in whole.iterdir())
    older = tmp_path / "snapshot-1"
    shutil.copytree(whole, older)
    for case in range(CASES):
        path = tmp_path / "snapshot-2"
        shutil.copytree(whole, path)
        name = names[case % len(names)]
        fate = damage(path / name, rng)
        with pytest.raises(SnapshotError) as refused:
            restored(path)
        codes[refused.value.code] += 1
        with pytest.raises(SnapshotError):
            check(path)
        assert list_snapshots(tmp_path) == [path, older]
        assert str(refused.value), (case, name, fate)
        shutil.rmtree(path)
    assert restored(older).engine.stats().products > 0
    print("refused:", dict(codes))
    assert codes["checksum_wrong"] > CASES / 2


@pytest.mark.parametrize("name", [NAME, *sorted(FILES["ivfpq"])])
def test_a_missing_file_is_named(whole: Path, tmp_path: Path, name: str) -> None:
    """Instead of a traceback."""
    path = Path(shutil.copytree(whole, tmp_path / "snapshot-1"))
    (path / name).unlink()
    with pytest.raises(SnapshotError, match=name) as refused:
        restored(path)
    assert refused.value.code == "file_missing"


def forged(whole: Path, folder: Path, **fields: object) -> Path:
    """Return a copy whose manifest says something else, with a right checksum."""
    path = Path(shutil.copytree(whole, folder / "snapshot-1"))
    kept = json.loads((path / NAME).read_text()) | fields
    del kept["sha256"]
    import hashlib

    body = json.dumps({**kept, "sha256": ""}, indent=1, sort_keys=True)
    kept["sha256"] = hashlib.sha256(body.encode()).hexdigest()
    (path / NAME).write_text(json.dumps(kept, indent=1, sort_keys=True))
    return path


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"format": 2}, "format_newer"),
        ({"format": "1"}, "unreadable"),
        ({"model": "another"}, "model_foreign"),
        ({"dim": 8}, "model_foreign"),
        ({"rows": 7}, "unreadable"),
        ({"rows": "many"}, "unreadable"),
        ({"products": 3}, "unreadable"),
        ({"index": "flat"}, "unreadable"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "unreadable"),
        ({"files": 3}, "unreadable"),
        ({"source": []}, "unreadable"),
    ],
)
def test_what_does_not_fit_is_refused(
    whole: Path, tmp_path: Path, fields: dict[str, object], code: str
) -> None:
    """Also where every checksum is right."""
    with pytest.raises(SnapshotError) as refused:
        restored(forged(whole, tmp_path, **fields))
    assert refused.value.code == code


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000])
def test_a_manifest_of_anything_is_refused(whole: Path, tmp_path: Path, data: bytes) -> None:
    """Not even the JSON parser's depth gets out."""
    path = Path(shutil.copytree(whole, tmp_path / "snapshot-1"))
    (path / NAME).write_bytes(data)
    with pytest.raises(SnapshotError):
        read_manifest(path)


def test_another_model_or_dimension_is_refused_before_anything_is_read(whole: Path) -> None:
    """The message names both."""
    with pytest.raises(SnapshotError, match=f"{MODEL}.*another-model") as refused:
        restore(whole, model="another-model", dim=DIM)
    assert refused.value.code == "model_foreign"


def test_a_flat_snapshot_says_so(tmp_path: Path) -> None:
    """Below the least number of rows there are no lists, and their absence is no damage."""
    path = written(engine_of(layout=FLAT), tmp_path)
    manifest = read_manifest(path)
    assert manifest.index == "flat"
    assert set(manifest.files) == FILES["flat"]
    assert restored(path, FLAT).engine.stats().pieces == 0


def test_a_manifest_survives_its_file(whole: Path) -> None:
    """Byte for byte."""
    assert encode_manifest(read_manifest(whole)) == (whole / NAME).read_bytes()
    assert read_manifest(whole).source == {"offsets": {"0": 7}}
    assert LISTED.coder_rows <= read_manifest(whole).rows
