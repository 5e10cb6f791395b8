"""Two implementations of one truth: fsck's fold, and the pipelines with the engine behind them."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.images.errors import FetchedImage, FetchError
from streams.indexer.records import to_engine_record
from streams.ingest.dead_letters import dead_letter
from streams.ingest.outcome import EventOutcome, latest_records
from streams.ingest.pipeline import AttributePipeline
from streams.kafka.messages import SourceMessage
from streams.tools.fsck.compare import differences, may_be_searchable, must_be_searchable
from streams.tools.fsck.failures import failures
from streams.tools.fsck.history import History, Mode
from streams.tools.fsck.values import Message, ServedProduct
from streams.web.products import ProductsQuery, product_lines
from tests.support.fakes import DIM, jpeg
from tests.support.lane_events import embedding_pipeline, fake_model
from visualsearch.engine import Engine

TOPICS = ("product-events", "product-created", "product-updated", "product-deleted")
PICTURES = {f"http://h/{n}": jpeg((n * 60, 0, 0), side=8) for n in range(4)}
INLINE = base64.b64encode(PICTURES["http://h/0"]).decode()
NOT_A_PICTURE = base64.b64encode(b"no picture").decode()
LIMIT = 4096


class Pictures:
    """A fetcher of which one image is missing and one is none."""

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> FetchedImage:
        """Return an image. Raises FetchError."""
        assert timeout_s is None
        if url not in PICTURES:
            raise FetchError("image_http_404", "absent")
        return FetchedImage(b"text" if url.endswith("3") else PICTURES[url])


images = st.fixed_dictionaries(
    {},
    optional={
        "image_id": st.sampled_from(["a", "b", "0", "1"]),
        "kind": st.sampled_from(["catalog", "lifestyle"]),
    },
).flatmap(
    lambda extra: st.sampled_from(
        [{"url": url} for url in (*PICTURES, "http://h/gone")]
        + [{"data": INLINE}, {"data": NOT_A_PICTURE}]
    ).map(lambda source: extra | source)
)
offers = st.fixed_dictionaries(
    {}, optional={"price": st.sampled_from([1.0, 2.5]), "in_stock": st.booleans()}
)
wholes = st.builds(
    lambda title, pictures, extra, offer: {"title": title, "images": pictures} | extra | offer,
    st.sampled_from(["T", "U"]),
    st.lists(images, max_size=3),
    st.fixed_dictionaries(
        {}, optional={"tags": st.just(["x"]), "attributes": st.just({"c": "red"})}
    ),
    offers,
)
bodies = st.one_of(
    st.tuples(st.just("product-created"), wholes),
    st.tuples(st.just("product-updated"), wholes),
    st.tuples(st.just("product-offer-updated"), offers),
    st.tuples(st.just("product-deleted"), st.just({})),
    st.tuples(st.just("null"), st.just({})),
    st.tuples(st.just("broken"), st.just({})),
)
events = st.tuples(
    st.sampled_from(["p", "q"]), bodies, st.none() | st.integers(0, 4), st.sampled_from(TOPICS)
)


def message(offset: int, timestamp_ms: int, drawn: Any) -> SourceMessage:
    """Return a drawn event as it was published."""
    product_id, (kind, product), version, topic = drawn
    body = {"event_id": "e", "event_type": kind, "occurred_at": "2026-05-01T12:00:00Z",
            "product": {"product_id": product_id} | product}  # fmt: skip
    if version is not None:
        body["version"] = version
    value = {"null": None, "broken": b"{"}.get(kind, json.dumps(body).encode())
    return SourceMessage(topic, 0, offset, timestamp_ms, product_id.encode(), value)


async def indexed(
    batches: Sequence[Sequence[SourceMessage]], mode: Mode
) -> tuple[Engine, list[Message]]:
    """Return what the real pipelines and the engine make of it, and the dead letters."""
    engine, letters, model = Engine("fake", DIM), [], fake_model()

    class Applied:
        """A publisher whose records are applied at once."""

        async def write(
            self, batch: Sequence[SourceMessage], outcomes: Sequence[EventOutcome]
        ) -> None:
            records = [entry[:2] for _, entry in latest_records(outcomes)]
            engine.apply([to_engine_record(*record) for record in records])
            for source, outcome in zip(batch, outcomes, strict=True):
                letters.extend(dead_letter("dead", source, fault) for fault in outcome.faults)

    attributes = AttributePipeline(mode, Applied(), inline_limit=LIMIT)  # type: ignore[arg-type]
    embedding = embedding_pipeline(mode, model, Pictures(), Applied())
    try:
        for batch in batches:
            await attributes.handle(batch)
        for batch in batches:  # side by side, as the window does
            await asyncio.gather(*map(embedding.handle, batch))
    finally:
        model.close()
    return engine, [
        Message(x.topic, 0, n, x.timestamp_ms or 0, x.key, x.value, x.headers)
        for n, x in enumerate(letters)
    ]


def served_by(engine: Engine) -> dict[str, ServedProduct]:
    """Return what a worker with this engine would serve."""
    lines = b"".join(product_lines(engine, {}, ProductsQuery())).splitlines()
    rows = [msgspec.json.decode(line, type=ServedProduct) for line in lines[1:-1]]
    return {row.product_id: row for row in rows}


def folded(messages: Sequence[SourceMessage], mode: Mode, letters: list[Message]) -> History:
    """Return fsck's truth."""
    history = History(mode, failures(letters))
    for x in messages:
        history.add(Message(x.topic, 0, x.offset, x.timestamp_ms, x.key, x.value, x.headers))
    return history


@pytest.mark.timeout(400)  # a failure is shrunk for up to five minutes
@settings(max_examples=150)
@given(
    st.lists(st.tuples(events, st.integers(0, 2)), min_size=1, max_size=10),
    st.sampled_from(["timestamp", "explicit"]),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_the_truth_of_fsck_is_what_the_lanes_and_the_engine_make_of_any_history(
    drawn: list[Any], mode: Mode, size: int, rng: Any
) -> None:
    """Late, tied, failing, undecodable: nothing is found, and one change to the state is."""
    messages, clock = [], 1000
    lengths = Counter[str]()  # each topic counts its own: offsets tie across topics
    for event, step in drawn:
        clock += step
        messages.append(message(lengths[event[-1]], clock, event))
        lengths[event[-1]] += 1
    rng.shuffle(messages)
    batches = [messages[n : n + size] for n in range(0, len(messages), size)]
    engine, letters = asyncio.run(indexed(batches, mode))
    history = folded(rng.sample(messages, len(messages)), mode, letters)
    dead = failures(letters)
    assert [source for source, _ in history.unread if source not in dead] == []
    served = served_by(engine)
    for name in served.keys() | history.products.keys():
        truth, state = history.products.get(name), served.get(name)
        assert differences(name, truth, state) == []
        assert truth is not None
        searchable = state is not None and state.searchable
        assert must_be_searchable(truth) <= searchable <= may_be_searchable(truth)
        if must_be_searchable(truth):
            assert [c for c, _ in differences(name, truth, None)] == ["lost"]
        if searchable:
            assert [c for c, _ in differences(name, None, state)] == ["resurrected"]
