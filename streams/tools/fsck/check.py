"""The check: wait for the worker, fold the topics, compare the served products and vectors."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from streams.config.settings import Settings
from streams.tools.fsck.cluster import Bounds, Cluster
from streams.tools.fsck.compare import differences, matching, must_be_searchable
from streams.tools.fsck.failures import failures
from streams.tools.fsck.history import Claim, ExpectedProduct, History, decode
from streams.tools.fsck.lateness import (
    PIPELINES,
    products_of,
    wait_for_index,
    wait_for_pipelines,
    wait_for_retries,
)
from streams.tools.fsck.log import content_hashes, fold_log
from streams.tools.fsck.report import Finding, Report
from streams.tools.fsck.values import (
    FsckError,
    Message,
    MessagePosition,
    ServedProduct,
    format_position,
)
from streams.tools.fsck.vector_check import (
    LEAST_COSINE,
    ImageComparison,
    ImageEncoder,
    ImageToCheck,
    Limits,
    compare,
    url_content_changed,
)
from streams.tools.fsck.worker import WorkerClient
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import ImageSource, Product

ReportProgress = Callable[[int], None]
TICK = 500  # messages or products between two progress updates
HELD = 50  # events in memory for their images, of up to 10 MB each


class Display(Protocol):
    """Where progress is shown."""

    def step(self, name: str, total: int | None) -> ReportProgress:
        """Begin a step; call what is returned with how much of `total` is done."""


@dataclass(frozen=True, slots=True)
class Options:
    """Size and seed of the sample of products (None: all), and seconds to wait for the worker."""

    sample: int | None = 50
    seed: int = 0
    wait_s: float = 30.0


class Check:
    """One check of one worker against the topics. Raises FsckError when it cannot be made."""

    def __init__(
        self,
        settings: Settings,
        worker: WorkerClient,
        load_encoder: Callable[[], ImageEncoder],
        options: Options,
        display: Display,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._worker = worker
        self._load_encoder = load_encoder
        self._options = options
        self._display = display
        self._report = Report(worker.url)
        self._late: Bounds = {}

    def run(self) -> Report:
        """Return the report."""
        with Cluster(self._settings.kafka()) as cluster:
            report = self._report
            report.model = self._worker.index().model
            bounds = cluster.bounds(self._topics.product_topics())
            behind = self._wait(cluster, bounds)
            history = self._history(cluster, bounds)
            good = self._compare(history.products)
            self._check_vectors(cluster, self._sample(good), history.products)
            changed = self._changed(cluster, bounds)
        report.reclassify(behind, "late", "not yet processed")
        report.reclassify(changed - behind, "unchecked", "changed during the check")
        return report

    def _wait(self, cluster: Cluster, bounds: Bounds) -> set[str]:
        """Wait for the pipelines, then for the index; return the late products."""
        self._display.step("waiting for the pipelines and the index", None)
        give_up_at = time.monotonic() + self._options.wait_s
        group, log = self._settings.group, self._topics.index_log
        groups = {pipeline: group(pipeline) for pipeline in PIPELINES}
        late = [
            wait_for_pipelines(cluster, groups, bounds, give_up_at),
            wait_for_retries(cluster, group("retry"), self._topics.product_retry, give_up_at),
            wait_for_index(cluster, self._worker, log, give_up_at),
        ]
        for each in late:
            for finding in each.findings:
                self._report.add("late", finding)
        self._late = late[0].ranges
        return set().union(*(products_of(cluster, each.ranges, log) for each in late))

    def _is_late(self, source: MessagePosition) -> bool:
        """Return whether a pipeline has not processed this event yet."""
        start, stop = self._late.get(source[:2], (0, 0))
        return start <= source[2] < stop

    def _history(self, cluster: Cluster, bounds: Bounds) -> History:
        """Fold the topics; where they are truncated, take older states from the index log."""
        letters = cluster.bounds([self._topics.dead_letters])
        dead = failures(self._read_with_progress("reading dead letters", cluster, letters))
        history = History(self._settings.order_mode, dead)
        for message in self._read_with_progress("reading product events", cluster, bounds):
            history.add(message)
        self._report.events = history.events
        cut = any(low > 0 for low, _ in letters.values())
        if cut:
            text = "dead letters are truncated: a failed event may be reported as lost"
            self._report.notes.append(text)
        for source, code in history.unread:
            if source not in dead and not self._is_late(source):
                text = f"cannot be read ({code}) and is no dead letter"
                finding = Finding(text, source=format_position(source))
                self._report.add("unchecked" if cut else "missing_dead_letters", finding)
        lows = {part: low for part, (low, _) in bounds.items() if low > 0}
        if lows:
            log = cluster.bounds([self._topics.index_log])
            records = self._read_with_progress("reading the index log", cluster, log)
            count = fold_log(records, history.products, lows)
            where = ", ".join(f"{t}[{p}] from {low}" for (t, p), low in sorted(lows.items()))
            self._report.notes.append(
                f"product topics are truncated ({where}): {count} states are taken from the index "
                "log and not checked independently"
            )
        return history

    def _compare(self, expected: dict[str, ExpectedProduct]) -> list[str]:
        """Compare every product; return the searchable ones without a difference."""
        report, seen = self._report, set[str]()
        good: list[str] = []
        step = self._display.step("comparing products", len(expected))
        for served in self._worker.products():
            name = served.product_id
            if name in seen:
                report.add("duplicated", Finding("the product is listed twice", name))
                continue
            seen.add(name)
            report.served += served.searchable
            found = differences(name, expected.get(name), served)
            for category, finding in found:
                report.add(category, finding)
            if served.searchable and not found:
                good.append(name)
            if len(seen) % TICK == 0:
                step(len(seen))
        for name in expected.keys() - seen:
            for category, finding in differences(name, expected[name], None):
                report.add(category, finding)
        report.expected = sum(must_be_searchable(each) for each in expected.values())
        step(len(expected))
        return good

    def _sample(self, good: Iterable[str]) -> list[str]:
        names = sorted(good)
        if self._options.sample is None or self._options.sample >= len(names):
            return names
        return random.Random(self._options.seed).sample(names, self._options.sample)

    def _check_vectors(
        self, cluster: Cluster, names: list[str], expected: dict[str, ExpectedProduct]
    ) -> None:
        if not names:
            return
        self._display.step("loading the encoder", None)
        encoder = self._load_encoder()
        if encoder.model_id != self._report.model:
            raise FsckError(
                "model_differs",
                f"the worker serves {self._report.model}, this check would embed with "
                f"{encoder.model_id}; set VISUALSEARCH_ENCODER, or skip vectors: --sample 0",
            )
        settings = self._settings
        limits = Limits(settings.image_max_bytes, settings.fetch_timeout_s, settings.file_roots)
        step = self._display.step("comparing vectors", len(names))
        done = compare(self._stored(cluster, names, expected, step), encoder, limits)
        self._judge(cluster, done)

    def _stored(
        self,
        cluster: Cluster,
        names: list[str],
        expected: dict[str, ExpectedProduct],
        step: ReportProgress,
    ) -> Iterator[ImageToCheck]:
        """Yield the images of these products; the events of a few are held at a time."""
        for start in range(0, len(names), HELD):
            step(start)
            claims: dict[str, tuple[ServedProduct, Claim]] = {}
            for name in names[start : start + HELD]:
                served = self._worker.product_with_vectors(name)
                claim = served and matching(expected[name].vectors, served)
                if served is not None and claim:  # else it has changed since the comparison
                    claims[name] = (served, claim)
            wanted = [claim.source for _, claim in claims.values() if claim.source is not None]
            events = {message.source: message for message in self._read_at(cluster, wanted)}
            for name, (served, claim) in claims.items():
                sources = _image_sources(claim, events)
                for image in served.images:
                    where = tuple(sources.get(image.image_id, ()))
                    vector = image.vector or ""
                    yield ImageToCheck(
                        name, image.image_id, where, vector, format_position(claim.source)
                    )

    def _read_at(self, cluster: Cluster, wanted: list[MessagePosition]) -> Iterator[Message]:
        """Read events again, without those that were truncated."""
        bounds = cluster.bounds(self._topics.product_topics())
        yield from cluster.read_at(s for s in wanted if s[2] >= bounds.get(s[:2], (s[2] + 1,))[0])

    def _judge(self, cluster: Cluster, done: Iterable[ImageComparison]) -> None:
        """Report differing vectors; of images at URLs, only if the URL's content is unchanged."""
        doubtful: list[ImageComparison] = []
        for each in done:
            if each.cosine is None:
                self._report_image("unchecked", each, each.problem)
                continue
            self._report.images_compared += 1
            if each.cosine < LEAST_COSINE and not each.stored.inline:
                doubtful.append(each)
            elif each.cosine < LEAST_COSINE:
                self._report_wrong(each)
        log = cluster.bounds([self._topics.index_log]) if doubtful else {}
        hashes = content_hashes(cluster.read(log), {each.stored.product_id for each in doubtful})
        for each in doubtful:
            if url_content_changed(each, hashes):
                text = "the content of its URL has changed since it was indexed"
                self._report_image("unchecked", each, text)
            else:
                self._report_wrong(each)

    def _report_wrong(self, each: ImageComparison) -> None:
        self._report_image(
            "wrong_vectors", each, f"cosine {each.cosine:.4f} with a fresh embedding"
        )

    def _report_image(self, category: str, each: ImageComparison, what: str) -> None:
        stored = each.stored
        text = f"image {stored.image_id!r}: {what}"
        self._report.add(category, Finding(text, stored.product_id, stored.event))

    def _changed(self, cluster: Cluster, bounds: Bounds) -> set[str]:
        """Return the products of events that were published since the check began."""
        now = cluster.bounds(self._topics.product_topics())
        since = {part: (stop, now[part][1]) for part, (_, stop) in bounds.items() if part in now}
        return products_of(cluster, since, self._topics.index_log)

    def _read_with_progress(self, what: str, cluster: Cluster, bounds: Bounds) -> Iterator[Message]:
        """Read all within bounds under a progress bar."""
        step = self._display.step(what, sum(stop - start for start, stop in bounds.values()))
        for number, message in enumerate(cluster.read(bounds), 1):
            yield message
            if number % TICK == 0:
                step(number)


def _image_sources(
    claim: Claim, events: dict[MessagePosition, Message]
) -> dict[str, list[ImageSource]]:
    """Return the sources of the images' bytes, by image id."""
    found: dict[str, list[ImageSource]] = {}
    message = None if claim.source is None else events.get(claim.source)
    if message is not None:
        try:
            product = decode(message).product
        except SchemaError:
            return {}
        images = product.images if isinstance(product, Product) else []
        for number, image in enumerate(images):
            found.setdefault(image.image_id or str(number), []).append(image)
        return found
    for image in getattr(claim.state, "images", ()):  # a state of the log has only the URL
        if image.url is not None and not image.url.startswith("blob:"):
            found.setdefault(image.image_id, []).append(ImageSource(url=image.url))
    return found
