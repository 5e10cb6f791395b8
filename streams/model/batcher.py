"""Batches the images of many events into model calls.

A call takes the images that arrived during the one before. Batches grow with the load, and a single
image never waits for others.
"""

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass

from streams.model.model import Model
from streams.model.priority_pool import Priority
from visualsearch.encoders.protocol import Prepared
from visualsearch.lru import Lru

KNOWN = 50_000  # cached vectors, 1 kB each at 512 dimensions


@dataclass(frozen=True, slots=True)
class Embedded:
    """The unit vector of an image, float16 little-endian, and the SHA-256 of its bytes."""

    vector: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class _Job:
    digest: str
    prepared: Prepared
    vector: "asyncio.Future[bytes]"


class EmbeddingBatcher:
    """Embeds images that are not cached; `step` per call, so that no query waits long."""

    def __init__(self, model: Model, *, step: int, known: int = KNOWN) -> None:
        self.model_id = model.encoder.model_id
        self._model = model
        self._step = step
        self._cache = Lru[str, bytes](known)  # float16, by content hash
        self._jobs: deque[_Job] = deque()
        self._pending: dict[str, asyncio.Task[bytes]] = {}
        self._working: asyncio.Task[None] | None = None

    def cached_vector(self, digest: str) -> Embedded | None:
        """Return the cached vector of the bytes with this SHA-256; None without one."""
        vector = self._cache.get(digest)
        return None if vector is None else Embedded(vector, digest)

    async def embed(self, data: bytes) -> Embedded:
        """Return the vector of an image's bytes.

        Raises ImageError for an unusable image, ModelError when the model fails.
        """
        digest = await self._model.run_on_cpu_pool(
            Priority.INDEX, lambda: hashlib.sha256(data).hexdigest()
        )
        if (known := self.cached_vector(digest)) is not None:
            return known
        if (pending := self._pending.get(digest)) is None:
            pending = asyncio.create_task(self._embed(digest, data))
            self._pending[digest] = pending
            pending.add_done_callback(lambda done: self._forget(digest, done))
        # Shielded: another event may wait for the same bytes.
        return Embedded(await asyncio.shield(pending), digest)

    def _forget(self, digest: str, done: "asyncio.Task[bytes]") -> None:
        self._pending.pop(digest, None)
        if not done.cancelled():
            done.exception()  # retrieved, or asyncio warns if no caller is left

    async def _embed(self, digest: str, data: bytes) -> bytes:
        prepared = await self._model.prepare(Priority.INDEX, data)
        vector: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(digest, prepared, vector))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await vector

    async def _work(self) -> None:
        while self._jobs:
            step = [self._jobs.popleft() for _ in range(min(self._step, len(self._jobs)))]
            try:
                rows = await self._model.images(Priority.INDEX, [job.prepared for job in step])
                vectors = [row.tobytes() for row in rows.astype("<f2")]
                done = list(zip(step, vectors, strict=True))
            except Exception as error:
                for job in step:
                    job.vector.set_exception(error)
                continue
            for job, vector in done:
                self._cache.put(job.digest, vector)
                job.vector.set_result(vector)
