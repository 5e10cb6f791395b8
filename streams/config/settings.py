"""Settings: environment `VISUALSEARCH_*`, a `.env` file, `--config FILE`; read once, frozen."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.config.allow_list import AllowList
from streams.config.topics import TopicNames
from visualsearch.client.options import MIB


class Settings(BaseSettings):
    """All settings of a visualsearch process."""

    model_config = SettingsConfigDict(
        env_prefix="VISUALSEARCH_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # an invalid value may hold a password
    )

    bootstrap: str = Field(
        default="127.0.0.1:9092", description="Kafka bootstrap servers, host:port,…"
    )
    topic_prefix: str = Field(default="", description="Prefix of every topic and group name")
    order_mode: Literal["timestamp", "explicit"] = Field(
        default="timestamp",
        description="What orders a product's events: Kafka's clock or `version`",
    )
    encoder: str = Field(default="lite", description="lite, or open_clip:ARCH/TAG")
    prompts: tuple[str, ...] = Field(
        default=(), description="open_clip: prompt templates, such as a photo of {text}"
    )
    device: str | None = Field(default=None, description="cuda or cpu; detected if not given")
    data_dir: Path = Field(
        default=Path(".visualsearch"), description="Images and caches of this host"
    )
    blob_url: str | None = Field(default=None, description="fsspec URL of inline images (s3://…)")
    http_host: str = Field(default="127.0.0.1", description="Address of the worker's HTTP server")
    http_port: int = Field(default=8080, ge=0, le=65535, description="HTTP port; 0: any free one")
    file_roots: tuple[Path, ...] = Field(default=(), description="Folders that file: URLs may read")
    store_roots: tuple[str, ...] = Field(
        default=(), description="Object stores whose images may be read (s3://bucket/folder)"
    )
    fetch_allow: tuple[str, ...] = Field(
        default=(),
        description="Private networks, addresses and hosts that images may be fetched from",
    )
    reply_topics: tuple[str, ...] = Field(default=(), description="Allowed reply topics")
    image_max_bytes: int = Field(default=16 * MIB, ge=1024, description="Largest image fetched")
    inline_max_bytes: int = Field(
        default=2 * MIB, ge=1024, description="Largest inline image in an event"
    )
    fetch_timeout_s: float = Field(
        default=10.0, gt=0, description="Time to fetch one image, retries included"
    )
    fetch_connect_timeout_s: float = Field(
        default=3.0, gt=0, description="Part of fetch_timeout_s: time to connect"
    )
    fetch_read_timeout_s: float = Field(
        default=5.0, gt=0, description="Part of fetch_timeout_s: longest pause in a response"
    )
    fetch_attempts: int = Field(
        default=3, ge=1, description="Attempts per image on transient errors"
    )
    fetch_concurrency: int = Field(
        default=64, ge=1, description="Images fetched or waiting for the model at the same time"
    )
    fetch_per_host: int = Field(default=8, ge=1, description="Concurrent fetches from one host")
    retry_delays_s: tuple[float, ...] = Field(
        default=(10, 60, 300, 1800, 7200),
        description="Delays before each retry of an image; then its event is dead-lettered",
    )
    retry_timeout_s: float = Field(
        default=60.0, gt=0, description="Time to fetch one image on a retry"
    )
    embed_window: int = Field(
        default=256, ge=1, le=4096, description="Concurrent events of the embedding pipeline"
    )
    embed_step: int | None = Field(default=None, ge=1, description="Images per model call")
    attribute_batch: int = Field(default=128, ge=1, description="Events per attribute batch")
    attributes: str = Field(
        default="built-in",
        description="How attributes are guessed from images: built-in, off, or a file of "
        "`visualsearch attributes train`",
    )
    attribute_taxonomy: Path | None = Field(
        default=None, description="Attributes and values for `built-in` (JSON)"
    )
    attribute_confidence: float = Field(
        default=0.5, gt=0, le=1, description="Least confidence of a guessed attribute"
    )
    background_model: Path | None = Field(
        default=None, description="U²-Net (ONNX) for the subject of a query photo; default GrabCut"
    )
    look_categories: Path | None = Field(
        default=None, description="JSON of the categories that mode look detects; default built in"
    )
    look_checkpoint: Path | None = Field(
        default=None, description="State dict of a torchvision detector that mode look uses"
    )
    look_labels: Path | None = Field(
        default=None, description="JSON label map of look_checkpoint; required with it"
    )
    query_concurrency: int = Field(default=16, ge=1, description="Requests processed concurrently")
    session_timeout_s: float = Field(default=8.0, ge=6, description="Kafka group session")
    recall_target: float = Field(
        default=0.98, gt=0, le=1, description="Recall that searches are planned for"
    )
    overfetch: float | None = Field(
        default=None, ge=1, description="Over-fetch factor of filters; default by the planner"
    )
    ef_max: int | None = Field(
        default=None, ge=16, description="Largest ef of a graph search; default by the planner"
    )
    recall_probe_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of searches repeated exactly to measure recall"
    )
    index_threads: int = Field(
        default=min(8, os.cpu_count() or 1), ge=1, description="Threads that rebuild graphs"
    )
    heal_grace_s: float = Field(
        default=30.0, gt=0, description="Index log: time before a stale last record is healed"
    )
    snapshot_folder: Path | None = Field(
        default=None, description="Local folder of snapshots; default below data_dir"
    )
    snapshot_store: str | None = Field(
        default=None, description="fsspec URL that snapshots are copied to (s3://bucket/folder)"
    )
    snapshot_interval_s: float = Field(
        default=900.0, ge=0, description="Time between snapshots; 0 disables the interval"
    )
    snapshot_changes: int = Field(
        default=1_000_000, ge=0, description="Log records between snapshots; 0 disables the count"
    )
    snapshot_at_stop: bool = Field(default=True, description="Take a snapshot at shutdown")
    snapshot_keep: int = Field(default=3, ge=1, description="Snapshots kept, here and in the store")
    snapshot_max_age_s: float | None = Field(
        default=7 * 86_400.0, gt=0, description="Older snapshots are removed, except the newest"
    )
    stop_timeout_s: float = Field(default=25.0, gt=0, description="Most time from SIGTERM to exit")

    @field_validator("fetch_allow")
    @classmethod
    def _allowed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        AllowList(value)
        return value

    @field_validator("snapshot_store")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("credentials belong in the environment (AWS_ACCESS_KEY_ID, …)")
        return value

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.look_checkpoint is None) != (self.look_labels is None):
            raise ValueError("look_checkpoint and look_labels go together: give both or neither")
        return self

    @property
    def topics(self) -> TopicNames:
        """The topics' names, prefix included."""
        return TopicNames.with_prefix(self.topic_prefix)

    def group(self, name: str) -> str:
        """Return the name of a consumer group: `attributes`, `embedding`, `retry` or `search`."""
        return f"{self.topic_prefix}visualsearch-{name}"

    @property
    def blobs(self) -> str:
        """Where inline images are kept."""
        return self.blob_url or (self.data_dir / "blobs").absolute().as_uri()

    @property
    def snapshots(self) -> Path:
        """The folder of this log's snapshots."""
        return (self.snapshot_folder or self.data_dir / "snapshots") / self.topics.index_log

    @property
    def snapshots_url(self) -> str | None:
        """Where this log's snapshots are copied to."""
        if self.snapshot_store is None:
            return None
        return f"{self.snapshot_store.rstrip('/')}/{self.topics.index_log}"

    def kafka(self) -> dict[str, str | int]:
        """Return the connection options of librdkafka's clients."""
        # librdkafka's own log writes ten lines a second to stderr while no broker answers. Our
        # code logs what matters.
        return {"bootstrap.servers": self.bootstrap, "log_level": 2, "log.connection.close": False}


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings once.

    An override that is not None wins, then the environment, then `config` (TOML or JSON).
    Raises ValueError for an unknown name in `config` or a value that does not fit.
    """
    explicit = {name: value for name, value in overrides.items() if value is not None}
    if config is None:
        return Settings(**explicit)
    text = config.read_text()
    from_file = json.loads(text) if config.suffix == ".json" else tomllib.loads(text)
    known = Settings.model_fields.keys()
    if unknown := sorted(from_file.keys() - known):
        raise ValueError(f"{config}: unknown settings {', '.join(unknown)}")
    environment = Settings().model_fields_set
    kept = {name: value for name, value in from_file.items() if name not in environment}
    return Settings(**(kept | explicit))
