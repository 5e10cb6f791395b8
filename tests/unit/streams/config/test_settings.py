"""Settings: who wins, and what is refused."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.cli.config import masked
from streams.config.settings import load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("BOOTSTRAP", "TOPIC_PREFIX", "HTTP_PORT"):
        monkeypatch.delenv(f"VISUALSEARCH_{name}", raising=False)


def test_an_argument_beats_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And a `.env` counts as environment."""
    config = tmp_path / "settings.toml"
    config.write_text(
        'bootstrap = "file:1"\ntopic_prefix = "file-"\nhttp_port = 1\nattribute_batch = 3'
    )
    (tmp_path / ".env").write_text("VISUALSEARCH_HTTP_PORT=2\n")
    monkeypatch.setenv("VISUALSEARCH_TOPIC_PREFIX", "env-")
    settings = load_settings(config, bootstrap="argument:1", http_port=None)
    assert settings.bootstrap == "argument:1"
    assert settings.topic_prefix == "env-"
    assert settings.http_port == 2
    assert settings.attribute_batch == 3


def test_a_json_file_will_do(tmp_path: Path) -> None:
    """The form is told by the name."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"reply_topics": ["a", "b"]}))
    assert load_settings(config).reply_topics == ("a", "b")


def test_a_name_that_is_not_known_in_the_file_is_refused(tmp_path: Path) -> None:
    """A misspelled setting must not be ignored; the file is named."""
    config = tmp_path / "settings.toml"
    config.write_text("boostrap = 'x'\nencodr = 'y'")
    with pytest.raises(ValueError, match=r"settings\.toml: unknown settings boostrap, encodr"):
        load_settings(config)


@pytest.mark.parametrize(
    ("name", "value"),
    [("http_port", 70000), ("order_mode", "random"), ("attribute_batch", 0), ("fetch_timeout_s", 0),
     ("session_timeout_s", 1)],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(name: str, value: object) -> None:
    """With the setting's name."""
    with pytest.raises(ValidationError, match=name):
        load_settings(None, **{name: value})


def test_settings_are_frozen_and_name_the_topics_and_groups() -> None:
    """Read once; the prefix is put before each name."""
    settings = load_settings(topic_prefix="eu-")
    assert settings.topics.index_log == "eu-index-log"
    assert settings.group("retry") == "eu-visualsearch-retry"
    with pytest.raises(ValidationError):
        settings.topic_prefix = "us-"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("s3://key:secret@bucket/path", "s3://***@bucket/path"),
        ("s3://key:se/cret@bucket/path", "s3://***@bucket/path"),
        ("s3://key:s@e?c#ret@bucket", "s3://***"),
        ("https://token@host/", "https://***@host/"),
        ("simplecache::s3://key:secret@bucket", "simplecache::s3://***@bucket"),
        ("user:secret@proxy:3128", "***@proxy:3128"),
        ("https://host/a?Signature=5ec&expires=9&5ec", "https://host/a?Signature=***&expires=***&***"),
        ("https://host/a#access_token=5ec", "https://host/a#access_token=***"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("127.0.0.1:9092,[::1]:9092", "127.0.0.1:9092,[::1]:9092"),
        ("is this {text}? yes", "is this {text}? yes"),
        (8080, 8080),
        (None, None),
        (("10.0.0.0/8", "cdn.example.com"), ["10.0.0.0/8", "cdn.example.com"]),
        (["s3://k:s/e@a", "s3://b"], ["s3://***@a", "s3://b"]),
        ({"host": ["http://k:s@a"]}, {"host": ["http://***@a"]}),
    ],
)  # fmt: skip
def test_the_password_of_a_url_is_masked(given: object, printed: object) -> None:
    """What `visualsearch config` prints may be pasted into an issue."""
    assert masked(given) == printed


def test_a_store_with_a_password_is_refused_and_not_told() -> None:
    """It would be in every log and listing; the environment is the place."""
    with pytest.raises(ValidationError, match="snapshot_store") as raised:
        load_settings(snapshot_store="s3://key:hidden@bucket/path")
    assert "hidden" not in str(raised.value)
    assert load_settings(snapshot_store="s3://bucket/a@b").snapshot_store == "s3://bucket/a@b"


def test_snapshots_of_logs_lie_apart(tmp_path: Path) -> None:
    """Two catalogs on one host, or in one bucket, do not meet."""
    settings = load_settings(topic_prefix="eu-", data_dir=tmp_path, snapshot_store="s3://b/x/")
    assert settings.snapshots == tmp_path / "snapshots" / "eu-index-log"
    assert settings.snapshots_url == "s3://b/x/eu-index-log"
    assert load_settings(snapshot_folder=tmp_path).snapshots == tmp_path / "index-log"
    assert load_settings().snapshots_url is None
