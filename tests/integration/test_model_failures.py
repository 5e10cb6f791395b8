"""A model that runs out of memory, and one that fails: no event waits in silence."""

import asyncio
from collections.abc import Sequence
from pathlib import Path as Folder
from typing import Any

import torch
from aiohttp import ClientSession

from streams.tools.broker import BrokerInfo
from tests.support.fakes import FakeEncoder
from tests.support.harness import inline, make_settings, make_topics, path_of
from tests.support.path_events import created
from tests.support.waiting import until

FITS = 2


class Narrow(FakeEncoder):
    """A GPU with memory for two images."""

    largest = 0

    def embed(self, prepared: Sequence[Any]) -> Any:
        """Embed. Raises OutOfMemoryError as torch does."""
        self.largest = max(self.largest, len(prepared))
        if len(prepared) > FITS:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return super().embed(prepared)


class Doomed(FakeEncoder):
    """A GPU that fails once it is told to, and for good."""

    failing = False

    def embed(self, prepared: Sequence[Any]) -> Any:
        """Embed, or fail as a broken GPU does."""
        if self.failing:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return super().embed(prepared)


async def test_out_of_memory_costs_speed_and_no_picture(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Calls are made smaller until they fit; the worker stays healthy."""
    settings = make_settings(kafka.bootstrap, tmp_path, embed_step=8)
    await asyncio.to_thread(make_topics, settings)
    encoder = Narrow()
    async with path_of(settings, encoder=encoder) as path:
        await path.publish(created("many", *(inline(n) for n in range(40))))
        await path.settled()
        state = path.engine.product("many")
        assert state is not None
        assert len(state.images) == 40
        assert encoder.largest > FITS
        assert path.dead_letters() == []
        assert (path.worker.live(), path.worker.ready()) == (None, None)


async def test_a_failed_gpu_is_told_by_both_probes_and_its_events_are_kept(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """A query gets a code, an event waits in `product-retry`, and the next worker indexes it."""
    settings = make_settings(kafka.bootstrap, tmp_path, retry_delays_s=(0.5,) * 60)
    await asyncio.to_thread(make_topics, settings)
    encoder = Doomed()
    async with path_of(settings, encoder=encoder) as path:
        await path.publish(created("before", inline(1)))
        await path.settled()
        encoder.failing = True
        result = await path.search(image=inline(1).data)
        assert result.error is not None
        assert result.error.code == "embed_failed"
        await path.publish(created("during", inline(2)))
        await until(lambda: len(path.read(path.topics.product_retry)) > 0)
        async with ClientSession() as http:
            for probe in ("livez", "readyz"):
                async with http.get(f"{path.url}/{probe}") as answer:
                    assert answer.status == 503
                    assert "unspecified launch failure" in await answer.text()
    async with path_of(settings) as path:  # what a restart gives
        await until(lambda: path.engine.product("during") is not None)
        await until(lambda: path.engine.product("during").searchable)
        assert await path.names_showing(2) == ["during"]
        assert path.dead_letters() == []
