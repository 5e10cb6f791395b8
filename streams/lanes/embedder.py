"""Pictures of many events → vectors, a few to a model call.

A call takes what has gathered while the one before it ran: batches grow with the load, and a
single picture never waits for company.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from streams.compute import Compute, Priority
from streams.lru import Lru
from streams.metrics import Metrics
from visualsearch.encoders.protocol import Encoder
from visualsearch.errors import ImageError

log = logging.getLogger(__name__)
KNOWN = 50_000  # vectors that are remembered, 1 kB each at 512 dimensions


@dataclass(frozen=True, slots=True)
class _Job:
    digest: str
    data: bytes
    vector: "asyncio.Future[bytes]"


class Embedder:
    """Embeds bytes that it has not seen; `step` pictures to a call, so that no query waits long."""

    def __init__(
        self,
        encoder: Encoder,
        compute: Compute,
        metrics: Metrics,
        *,
        step: int,
    ) -> None:
        self.model_id = encoder.model_id
        self._encoder = encoder
        self._compute = compute
        self._metrics = metrics
        self._step = step
        self._cache = Lru[str, bytes](KNOWN)  # float16, by content hash
        self._jobs: deque[_Job] = deque()
        self._pending: dict[str, asyncio.Future[bytes]] = {}
        self._working: asyncio.Task[None] | None = None

    async def vector(self, digest: str, data: bytes) -> bytes:
        """Return the unit vector of a picture, float16 little-endian; `digest` names its bytes.

        Raises ImageError for what is no usable picture, and whatever the model raises.
        """
        if (known := self._cache.get(digest)) is not None:
            return known
        if (pending := self._pending.get(digest)) is None:
            pending = asyncio.get_running_loop().create_future()
            self._pending[digest] = pending
            pending.add_done_callback(lambda done: self._forget(digest, done))
            self._jobs.append(_Job(digest, data, pending))
            if self._working is None or self._working.done():
                self._working = asyncio.create_task(self._work())
        return await asyncio.shield(pending)  # another event may wait for the same bytes

    def _forget(self, digest: str, done: "asyncio.Future[bytes]") -> None:
        self._pending.pop(digest, None)
        if not done.cancelled():
            done.exception()  # seen, though everyone who asked may have gone

    async def _work(self) -> None:
        while self._jobs:
            step = [self._jobs.popleft() for _ in range(min(self._step, len(self._jobs)))]
            try:
                await self._call(step)
            except Exception:
                # One bad picture fails the call: find it by giving each a call of its own.
                for job in step:
                    await self._alone(job)

    async def _alone(self, job: _Job) -> None:
        try:
            await self._call([job])
        except Exception as error:
            if not isinstance(error, ImageError):
                log.exception("the model failed on a picture")
            job.vector.set_exception(error)

    async def _call(self, step: list[_Job]) -> None:
        data = [job.data for job in step]

        def call() -> tuple[np.ndarray, float]:
            started = time.perf_counter()
            return self._encoder.encode_images(list(data)), time.perf_counter() - started

        vectors, seconds = await self._compute.run(Priority.INDEX, call)
        self._metrics.embed_batch.observe(len(step))
        self._metrics.embed.labels("image").observe(seconds)
        for job, vector in zip(step, vectors.astype("<f2"), strict=True):
            self._cache.put(job.digest, vector.tobytes())
            job.vector.set_result(vector.tobytes())
