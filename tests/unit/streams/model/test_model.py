"""The model as a worker uses it: short of memory, failing, hanging."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from streams.model.model import DECODE_MEMORY, PROBE, QUERY_MEMORY, Model, ModelError, ResourceError
from streams.model.priority_pool import Priority
from tests.support.fakes import FakeEncoder, jpeg
from tests.support.lane_events import fake_model
from visualsearch.errors import ImageError

INDEX = Priority.INDEX


class Small(FakeEncoder):
    """A GPU that holds `fits` images at a time."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.fits = fits
        self.calls: list[int] = []

    def embed(self, prepared: Sequence[Any]) -> Any:
        """Embed. Raises OutOfMemoryError as torch does."""
        self.calls.append(len(prepared))
        if len(prepared) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().embed(prepared)


class Failing(FakeEncoder):
    """A GPU with an error that will not go away."""

    def embed(self, _: Sequence[Any]) -> Any:
        """Fail."""
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def encode_texts(self, _: Sequence[str]) -> Any:
        """Fail."""
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


Make = Callable[[FakeEncoder], Model]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Give a maker of models."""
    made: list[Model] = []

    def build(encoder: FakeEncoder) -> Model:
        made.append(fake_model(encoder))
        return made[-1]

    yield build
    for model in made:
        model.close()


async def pictures(model: Model, count: int) -> list[Any]:
    """Prepare so many different images."""
    return [await model.prepare(INDEX, jpeg((n, 0, 0))) for n in range(count)]


async def test_out_of_memory_halves_the_call_and_goes_on(make: Make) -> None:
    """Every image gets its vector, in its place; the next call is of the size that fits."""
    encoder = Small(3)
    model = make(encoder)
    prepared = await pictures(model, 16)
    rows = await model.images(INDEX, prepared)
    np.testing.assert_array_equal(rows, FakeEncoder().embed(prepared))
    assert encoder.calls == [16, 8, 4, *[2] * 8]
    encoder.calls.clear()
    await model.images(INDEX, prepared[:4])
    assert encoder.calls == [2, 2]
    assert model.stuck_reason() is None


async def test_a_single_image_that_does_not_fit_is_a_failure(make: Make) -> None:
    """There is nothing left to halve."""
    model = make(Small(0))
    with pytest.raises(ModelError, match="OutOfMemoryError"):
        await model.images(INDEX, await pictures(model, 2))
    assert "OutOfMemoryError" in (model.stuck_reason() or "")


async def test_any_other_failure_fails_the_call_and_the_worker(make: Make) -> None:
    """With a code, at once, and for as long as the process lives."""
    model = make(Failing())
    with pytest.raises(ModelError, match="illegal memory access") as caught:
        await model.images(INDEX, await pictures(model, 2))
    assert caught.value.code == "embed_failed"
    assert "illegal memory access" in (model.stuck_reason() or "")


async def test_words_fail_the_worker_only_if_the_model_fails_on_others_too(make: Make) -> None:
    """A request must not be able to stop a worker."""

    class Picky(FakeEncoder):
        def encode_texts(self, texts: Sequence[str]) -> Any:
            if texts != [PROBE]:
                raise ValueError("odd words")
            return super().encode_texts(texts)

    for encoder, fails in ((Picky(), False), (Failing(), True)):
        model = make(encoder)
        with pytest.raises(ModelError):
            await model.texts(Priority.QUERY, ["\u202e"])
        assert (model.stuck_reason() is not None) == fails


async def test_a_bad_image_is_found_before_the_model(make: Make) -> None:
    """It fails alone."""
    encoder = Small(9)
    model = make(encoder)
    with pytest.raises(ImageError):
        await model.prepare(INDEX, b"no picture")
    assert encoder.calls == []
    assert model.stuck_reason() is None


async def test_a_call_that_does_not_come_back_is_reported(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked while the call runs, after a limit that is none here."""
    monkeypatch.setattr("streams.model.model.STUCK_S", 0.0)
    asked: list[str | None] = []

    class Hanging(FakeEncoder):
        def embed(self, prepared: Sequence[Any]) -> Any:
            asked.append(model.stuck_reason())
            return super().embed(prepared)

    model = make(Hanging())
    await model.images(INDEX, await pictures(model, 1))
    assert "has been running" in (asked[0] or "")
    model.close()  # its thread is through with the call
    assert model.stuck_reason() is None


async def test_a_decode_that_does_not_come_back_is_reported(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many of them as there are threads would stop embedding and image queries for good."""
    monkeypatch.setattr("streams.model.model.STUCK_S", 0.0)
    asked: list[str | None] = []

    class Endless(FakeEncoder):
        def prepare(self, image: Any) -> Any:
            asked.append(model.stuck_reason())
            return super().prepare(image)

    model = make(Endless())
    await pictures(model, 1)
    assert "a decode has been running" in (asked[0] or "")


@pytest.mark.parametrize(
    "error", [MemoryError(), *(OSError(n, "") for n in (errno.ENOSPC, errno.EMFILE, errno.EIO))]
)
async def test_a_lack_of_resources_is_the_workers_fault(make: Make, error: Exception) -> None:
    """Of a decode that could not be made nothing is known of the image."""

    class Poor(FakeEncoder):
        def prepare(self, _: Any) -> Any:
            raise error

    with pytest.raises(ResourceError) as caught:
        await make(Poor()).prepare(INDEX, jpeg((1, 0, 0)))
    assert caught.value.code == "resources_exhausted"


class Slow(FakeEncoder):
    """Decodes until it is told to go on, and counts those that do it together."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.decoding: set[bytes] = set()
        self.together: list[set[bytes]] = []

    def prepare(self, image: Any) -> Any:
        """Wait, except with a query's image."""
        self.decoding.add(image)
        self.together.append(set(self.decoding))
        if not image.startswith(b"query"):
            self.go_on.wait(10)
        self.decoding.discard(image)
        return image


async def test_decodes_share_one_budget_and_queries_have_a_part_of_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three large images of the catalog go one after the other, a query's goes beside them."""
    need = {b"large": DECODE_MEMORY - QUERY_MEMORY, b"query": QUERY_MEMORY}
    monkeypatch.setattr("streams.model.model.decode_memory", lambda data: need[data[:5]])
    encoder = Slow()
    model = Model(encoder, make(FakeEncoder())._metrics, threads=4)
    large = [asyncio.create_task(model.prepare(INDEX, b"large%d" % number)) for number in range(3)]
    while not encoder.decoding:  # noqa: ASYNC110 - a thread changes it
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(model.prepare(Priority.QUERY, b"query"), 5) == b"query"
    large[0].cancel()  # its thread decodes on, and its memory is not free yet
    await asyncio.sleep(0.05)
    assert encoder.decoding == {b"large0"}
    encoder.go_on.set()
    await asyncio.gather(*large[1:])
    assert {frozenset(each) for each in encoder.together} == {
        frozenset({b"large0"}), frozenset({b"large0", b"query"}), frozenset({b"large1"}),
        frozenset({b"large2"})}  # fmt: skip
    model.close()
