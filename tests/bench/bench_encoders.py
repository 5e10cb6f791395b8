"""Images and words per second, beside the loop that anyone would write, in the same run.

`python -m tests.bench.bench_encoders [OPTION …] [ENCODER …]` (`--help`)
Without a folder of JPEGs 480-pixel ones are drawn. On a busy machine set OMP_NUM_THREADS=1, or
torch's threads spin while they wait for each other. For each encoder:

- bare loop: Pillow, the model's own preprocessing, its forward pass, one batch after the other;
- forward: `embed` alone, on images that are prepared already, and the bare forward pass;
- end to end: JPEG bytes to vectors as a worker does it (`streams/model/model.py`);
- fetched: the same with an HTTP server on this machine in front, its own CPU time included.
"""

import argparse
import asyncio
import io
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from aiohttp import web
from PIL import Image
from prometheus_client import CollectorRegistry

from streams.config.settings import load_settings
from streams.images.blob_writer import InlineImages
from streams.images.blobs import BlobStore
from streams.images.circuit_breaker import HostCircuitBreakers
from streams.images.fetcher import Fetcher
from streams.images.reader import ImageReader, Tier
from streams.ingest.images import ImageVectors
from streams.ingest.retry import FIRST
from streams.metrics import Metrics
from streams.model.batcher import EmbeddingBatcher
from streams.model.model import Model
from streams.worker.build import CPU_STEP, GPU_STEP
from tests.bench.bare import Bare, bare_of
from visualsearch import load_encoder
from visualsearch.contracts.events import ImageSource
from visualsearch.datasets.drawn import draw_photo, word_queries
from visualsearch.datasets.drawn.kinds import KINDS
from visualsearch.encoders.protocol import Encoder

BATCHES = (1, 8, 64, 256)
AT_ONCE = 32  # images on their way together, as in a worker


def jpegs(folder: Path | None) -> list[bytes]:
    """Return JPEGs of a folder, or drawn ones of 480 pixels."""
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.glob("**/*.jpg"))[:256]]
    return [as_jpeg(draw_photo(kind, "red", "plain", 11, 480)) for kind in KINDS]


def as_jpeg(data: bytes) -> bytes:
    """Return an image as a JPEG."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


class Rate(NamedTuple):
    """Items per second, and per second of CPU time: what a busy machine cannot spoil."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} ({self.cpu:.1f})"


class Watch:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        """Return the wall time since."""
        return time.perf_counter() - self._wall

    def rate(self, done: int) -> Rate:
        """Return what so many items since then make."""
        return Rate(done / self.seconds(), done / (time.process_time() - self._cpu))


def per_second(call: Callable[[], int], seconds: float) -> Rate:
    """Return how many items per second a call does, in as many calls as it takes."""
    done, watch = 0, Watch()
    while watch.seconds() < seconds:
        done += call()
    return watch.rate(done)


class Bench:
    """The figures of one encoder."""

    def __init__(
        self, encoder: Encoder, pictures: Sequence[bytes], batches: Sequence[int], seconds: float
    ) -> None:
        self.encoder = encoder
        self.batches = batches
        self.pictures = pictures
        self.seconds = seconds
        # What follows a JPEG's end is ignored, and makes each one's bytes, and hash, its own.
        self._fresh: Iterator[bytes] = (
            data + b"%d" % number for number, data in enumerate(itertools.cycle(pictures))
        )

    def forward(self, bare: Bare) -> None:
        """Print the forward passes and the bare loop at each batch."""
        source = itertools.cycle(self.pictures)
        print("per second (per CPU-second); ratio of forward to the bare forward, of both")
        print("| batch | bare loop | bare forward | forward | ratio |\n|---|---|---|---|---|")
        bare.forward(bare.prepared(self.pictures[:8]))  # kernels chosen, memory touched
        self.encoder.encode_images(self.pictures[:8])
        for batch in self.batches:
            some = list(itertools.islice(source, batch))
            tensors = bare.prepared(some)
            prepared = [self.encoder.prepare(data) for data in some]
            loop = per_second(lambda s=some: bare.forward(bare.prepared(s)), self.seconds)  # type: ignore[misc]
            alone = per_second(lambda t=tensors: bare.forward(t), self.seconds)  # type: ignore[misc]
            ours = per_second(lambda p=prepared: len(self.encoder.embed(p)), self.seconds)  # type: ignore[misc]
            ratio = f"{ours.wall / alone.wall:.2f} ({ours.cpu / alone.cpu:.2f})"
            print(f"| {batch} | {loop} | {alone} | {ours} | {ratio} |", flush=True)

    async def end_to_end(self) -> None:
        """Print images per second from bytes, and from URLs on this machine."""
        model = Model(self.encoder, Metrics(CollectorRegistry()))
        step = CPU_STEP if self.encoder.device == "cpu" else GPU_STEP
        for calls in sorted({1, step, *self.batches}):
            embedder = EmbeddingBatcher(model, step=calls, known=1)

            async def one(embedder: EmbeddingBatcher = embedder) -> None:
                await embedder.embed(next(self._fresh))

            rate = await self._rate(one, max(AT_ONCE, 2 * calls))
            note = " (as a worker does)" if calls == step else ""
            print(f"end to end, calls of at most {calls}{note}: {rate}", flush=True)
        embedder = EmbeddingBatcher(model, step=step, known=1)
        print(f"fetched over HTTP: {await self._fetched(embedder)}", flush=True)
        model.close()

    async def _fetched(self, embedder: EmbeddingBatcher) -> Rate:
        async def picture(_: web.Request) -> web.Response:
            return web.Response(body=next(self._fresh))

        app = web.Application()
        app.router.add_get("/{number}", picture)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with tempfile.TemporaryDirectory() as folder:
            settings = load_settings(fetch_allow=("127.0.0.1",), data_dir=Path(folder))
            fetcher = Fetcher(settings, BlobStore(folder), Metrics(CollectorRegistry()))
            hosts = HostCircuitBreakers(settings.fetch_per_host, 60.0)
            reader = ImageReader(fetcher, Tier(hosts), Tier(hosts), inline_limit=1, in_memory=64)
            inline = InlineImages(BlobStore(folder), Metrics(CollectorRegistry()), inline_limit=1)
            images = ImageVectors(reader, inline, embedder, None)
            numbers = itertools.count()
            port = runner.addresses[0][1]

            async def one() -> None:
                url = f"http://127.0.0.1:{port}/{next(numbers)}"
                (found,) = (await images.embed([ImageSource(url=url)], FIRST)).results
                if found.fault is not None:
                    raise RuntimeError(found.fault.message)

            rate = await self._rate(one, AT_ONCE)
            await fetcher.close()
        await runner.cleanup()
        return rate

    async def _rate(self, one: Callable[[], Awaitable[None]], at_once: int) -> Rate:
        """Return how many a second are done with so many on their way, the pipeline being full.

        Counted are as many as are on their way, or more, so that large calls count as a whole.
        """
        done, stop, full, enough = 0, False, asyncio.Event(), asyncio.Event()

        async def go_on() -> None:
            nonlocal done
            while not stop:
                await one()
                done += 1
                if done == at_once:
                    full.set()
                if done == 2 * at_once:
                    enough.set()

        workers = [asyncio.create_task(go_on()) for _ in range(at_once)]
        await full.wait()
        before, watch = done, Watch()
        await asyncio.sleep(self.seconds)
        await enough.wait()
        rate = watch.rate(done - before)
        stop = True
        await asyncio.gather(*workers)
        return rate

    def words(self) -> None:
        """Print how many texts a second are embedded one by one, as queries come."""
        texts = itertools.cycle([text for text, _, _ in word_queries()])
        rate = per_second(lambda: len(self.encoder.encode_texts([next(texts)])), self.seconds)
        print(f"text queries, one by one: {rate}", flush=True)


def main() -> None:
    """Measure the encoders named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoders", nargs="*", default=["lite", "open_clip:ViT-B-32/random"])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    pictures = jpegs(chosen.pictures)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {gpu}, "
          f"torch {torch.__version__}, {len(pictures)} JPEGs")  # fmt: skip
    for name in chosen.encoders:
        encoder = load_encoder(name)
        print(f"\n## {encoder.model_id} on {encoder.device}, pictures/s")
        bench = Bench(encoder, pictures, chosen.batches, chosen.seconds)
        bench.forward(bare_of(encoder))
        asyncio.run(bench.end_to_end())
        bench.words()


if __name__ == "__main__":
    main()
