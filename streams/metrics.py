"""Every metric of a process, on a registry passed in: prefix `visualsearch_`, base units."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1, 1.5, 2.5, 5, 10, 30, 120, 600)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SHARES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Metrics:
    """All metrics of the process. No product id is ever a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"visualsearch_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"visualsearch_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(
                f"visualsearch_{name}", text, labels, buckets=buckets, registry=registry
            )

        self.events = counter("events_total", "Product events by pipeline and outcome",
                              "lane", "type", "outcome")  # fmt: skip
        self.dead_letters = counter("dead_letters_total", "Messages dead-lettered", "code")
        self.retries_waiting = gauge("retries_waiting", "Events waiting for their next attempt")
        self.hosts_down = gauge("image_hosts_down", "Image hosts whose circuit breaker is open")
        self.in_work = gauge("events_in_work", "Events being processed by the embedding pipeline")
        self.broker_up = gauge("broker_up", "1 while Kafka answers")
        self.clock_offset = gauge("clock_offset_seconds", "Kafka's clock minus this worker's clock")
        self.write_failures = counter("write_failures_total", "Failed Kafka writes",
                                      "lane")  # fmt: skip
        self.commit_failures = counter("commit_failures_total", "Offset commits that failed",
                                       "group")  # fmt: skip
        self.freshness = histogram("freshness_seconds", "occurred_at until searchable", "kind")
        self.pipeline = histogram("pipeline_seconds", "Message timestamp until searchable",
                                  "kind", "path")  # fmt: skip
        self.pipeline_lag_records = gauge("pipeline_lag_records",
                                          "Messages that a consumer group has not committed",
                                          "group", "topic")  # fmt: skip
        self.pipeline_lag_seconds = gauge("pipeline_lag_seconds",
                                          "Age of the oldest uncommitted message",
                                          "group", "topic")  # fmt: skip
        self.fetch = histogram("fetch_seconds", "Time to fetch one image", "outcome")
        self.blob_store = histogram("blob_store_seconds", "Storing one inline image", "outcome")
        self.blob_calls_abandoned = gauge("blob_calls_abandoned",
                                          "Timed-out blob store calls that still run")  # fmt: skip
        self.embed_batch = histogram("embed_batch_size", "Images per model call",
                                     buckets=_COUNTS)  # fmt: skip
        self.embed = histogram("embed_seconds", "Time of one model call", "input")
        self.decode_memory = gauge("decode_memory_bytes", "Memory reserved for decoding images")
        self.requests = counter("search_requests_total", "Requests answered", "mode", "outcome")
        self.search = histogram("search_seconds", "Time of a request by stage", "stage")
        self.plans = counter("search_plan_total", "Search plans by strategy", "strategy")
        self.selectivity = histogram("filter_selectivity", "Share of rows that match the filters",
                                     buckets=_SHARES)  # fmt: skip
        self.products = gauge("index_products", "Searchable products")
        self.vectors = gauge("index_vectors", "Searchable images")
        self.fresh_rows = gauge("index_fresh_rows", "Rows that are not in a graph yet")
        self.dead_ratio = gauge("index_dead_ratio", "Share of rows superseded or deleted")
        self.live_recall = gauge("index_live_recall", "Recall of sampled live queries", "k")
        self.segments = gauge("index_segments", "Graph segments")
        self.pieces = gauge("index_pieces", "IVF segments")
        self.merge_progress = gauge("index_merge_progress", "Graph rebuild progress, 0 to 1")
        age = "Age of the newest snapshot; 0 if nothing changed since"
        self.snapshot_age = gauge("snapshot_age_seconds", age)
        self.snapshot_time = gauge("snapshot_seconds", "Time that the last snapshot took")
        self.snapshot_bytes = gauge("snapshot_bytes", "Size of the last snapshot")
        self.snapshots = counter("snapshots_total", "Snapshots by outcome", "outcome")
        self.snapshots_refused = counter("snapshots_refused_total",
                                         "Snapshots rejected at start", "reason")  # fmt: skip
        self.restore = gauge("restore_seconds", "Time of each step of the restore", "step")
        self.serving = gauge("index_serving", "1 for the active engine", "engine")
        self.lag_records = gauge("log_lag_records", "Unapplied index log records", "partition")
        self.lag_seconds = gauge("log_lag_seconds", "Age of the index's watermark")
        self.records = counter("log_records_total", "Index log records read", "kind", "outcome")
        self.dirty_keys = gauge("log_dirty_keys", "Log keys whose last record is stale")
        self.healed = counter("log_healed_total", "Records appended again by log healing")
        self.build_info = gauge("build_info", "1, labeled with versions", "version", "encoder")
