"""The encoder of a worker: several threads decode images, one thread runs the model.

All decodes share one memory budget. A lack of memory, disk or descriptors is the worker's fault.

A model call that does not fit into GPU memory is repeated in halves. Any other failure fails the
images of that call, and the worker: a failed GPU does not recover within its process, and would
fail every event.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from streams.config.process import trim_memory
from streams.metrics import Metrics
from streams.model.memory_budget import MemoryBudget
from streams.model.priority_pool import Priority, PriorityPool
from visualsearch.encoders.image_files import MAX_MEMORY
from visualsearch.encoders.images import decode_memory
from visualsearch.encoders.protocol import Encoder, Prepared
from visualsearch.types import FloatArray

log = logging.getLogger(__name__)
T = TypeVar("T")
STUCK_S = 120.0  # for one call or image: a hanging GPU raises no error
PROBE = "an image"  # a text that every model accepts
QUERY_MEMORY = 128 * 2**20  # bytes reserved for queries: a query's JPEG never waits for indexing
LARGE_DECODE = QUERY_MEMORY  # bytes; after a larger decode glibc's free memory is trimmed
DECODE_MEMORY = MAX_MEMORY + QUERY_MEMORY


class ModelError(Exception):
    """The model failed; a retry may succeed on another worker or after a restart."""

    code = "embed_failed"


class ResourceError(ModelError):
    """The process is out of memory, disk or descriptors: no image is at fault, a retry may help."""

    code = "resources_exhausted"


class Model:
    """One encoder with its threads and its failure state."""

    def __init__(self, encoder: Encoder, metrics: Metrics, threads: int | None = None) -> None:
        self.encoder = encoder
        self.failure: str | None = None  # why this process should be restarted
        self._metrics = metrics
        self._calls = PriorityPool(name="model")
        self._hands = PriorityPool(threads or _cores(), name="images")
        self._memory = MemoryBudget(
            DECODE_MEMORY, for_queries=QUERY_MEMORY, changed=metrics.decode_memory.set
        )
        self._fits = sys.maxsize  # images per call, lowered when memory runs out

    async def run_on_cpu_pool(self, priority: Priority, work: Callable[[], T]) -> T:
        """Run image preprocessing on one of the CPU threads.

        Raises what `work` raises, and ResourceError for a lack of memory, disk or descriptors.
        """
        try:
            return await self._hands.run(priority, work)
        except (MemoryError, OSError) as error:
            if isinstance(error, OSError) and error.errno is None:  # raised by a decoder
                raise
            raise ResourceError(f"the worker is short of resources: {error!r}") from error

    async def decode(self, priority: Priority, data: bytes, work: Callable[[], T]) -> T:
        """Run a function that decodes an image on a CPU thread, within the memory budget.

        Raises what `work` raises, and ResourceError for a lack of memory, disk or descriptors.
        """
        size = await self.run_on_cpu_pool(priority, lambda: decode_memory(data))
        reserved = await self._memory.reserve(priority, size)
        loop = asyncio.get_running_loop()
        began = False

        def measured() -> T:
            nonlocal began
            began = True
            try:
                return work()
            finally:  # here: a cancelled caller leaves the thread decoding
                if size > LARGE_DECODE:
                    trim_memory()
                loop.call_soon_threadsafe(reserved.release)

        try:
            return await self.run_on_cpu_pool(priority, measured)
        finally:
            if not began:
                reserved.release()

    async def prepare(self, priority: Priority, image: Image.Image | bytes) -> Prepared:
        """Decode and preprocess an image for the model. Raises ImageError, ResourceError."""
        if isinstance(image, bytes):
            return await self.decode(priority, image, lambda: self.encoder.prepare(image))
        return await self.run_on_cpu_pool(priority, lambda: self.encoder.prepare(image))

    async def images(self, priority: Priority, prepared: Sequence[Prepared]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ModelError."""
        rows = [np.zeros((0, self.encoder.dim), dtype=np.float32)]
        done = 0
        while done < len(prepared):
            part = prepared[done : done + self._fits]
            found = await self._calls.run(priority, lambda part=part: self._embed(part))  # type: ignore[misc]
            if found is None:
                self._fits = len(part) // 2
                log.warning("out of memory with %d images, now %d a call", len(part), self._fits)
                continue
            rows.append(found)
            done += len(part)
        return np.concatenate(rows)

    async def texts(self, priority: Priority, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32 unit rows. Raises ModelError."""

        def call() -> FloatArray:
            try:
                return self._timed("text", lambda: self.encoder.encode_texts(texts))
            except Exception as error:
                try:
                    self.encoder.encode_texts([PROBE])
                except Exception:
                    self._fail(error)
                raise ModelError(f"the model failed on these words: {error!r}") from error

        return await self._calls.run(priority, call)

    def stuck_reason(self) -> str | None:
        """Return why this process should be restarted: the model failed or a thread hangs."""
        if self.failure is not None:
            return self.failure
        for what, threads in (("a call of the model", self._calls), ("a decode", self._hands)):
            if (seconds := threads.longest_running_s()) > STUCK_S:
                return f"{what} has been running for {seconds:.0f} s"
        return None

    def close(self) -> None:
        """Stop after the running calls."""
        self._hands.close()
        self._calls.close()

    def _embed(self, part: Sequence[Prepared]) -> FloatArray | None:
        """Return the rows of one call, None if it does not fit into memory.

        The error must not outlive this: its traceback holds the tensors that filled the memory.
        """
        try:
            rows = self._timed("image", lambda: self.encoder.embed(part))
        except Exception as error:
            if _out_of_memory(error) and len(part) > 1:
                return None
            self._fail(error)
            raise ModelError(f"the model failed on a call of {len(part)}: {error!r}") from error
        self._metrics.embed_batch.observe(len(part))
        return rows

    def _timed(self, kind: str, call: Callable[[], FloatArray]) -> FloatArray:
        started = time.perf_counter()
        rows = call()
        self._metrics.embed.labels(kind).observe(time.perf_counter() - started)
        return rows

    def _fail(self, error: Exception) -> None:
        log.error("the model failed", exc_info=error)
        self.failure = f"the model failed: {error!r}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores of this process; not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _out_of_memory(error: Exception) -> bool:
    """Return whether GPU or process memory ran out; does not import torch."""
    torch = sys.modules.get("torch")
    return isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)
    )
