"""What a process is told of its memory: what is free goes back to the system."""

import subprocess
import sys
import textwrap

import pytest

from streams.model.model import DECODE_MEMORY
from streams.tools.bench.host import resident_bytes

MOST_LEFT = 10_000_000

# In a process of its own: what `tune` sets is for all of its life.
TAKEN_BY_A_THREAD = textwrap.dedent(
    """
    from threading import Thread

    from streams.tools.bench.host import resident_bytes
    from streams.config.process import trim_memory, tune_process

    def take():
        taken = [bytes(2_000) for _ in range(25_000)]
        del taken

    tune_process()
    before = resident_bytes()
    threads = [Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trim_memory()
    print(resident_bytes() - before)
    """
)


@pytest.mark.skipif(resident_bytes() is None, reason="this system does not tell its memory")
def test_what_threads_have_freed_goes_back() -> None:
    """Each would have a heap of its own, of which `malloc_trim` keeps the block at its top."""
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_BY_A_THREAD], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < MOST_LEFT


# Six large images for four decode threads, some 385 MB each.
DECODED_TOGETHER = textwrap.dedent(
    """
    import asyncio, io
    from pathlib import Path
    from types import SimpleNamespace

    from PIL import Image
    from prometheus_client import CollectorRegistry

    from streams.tools.bench.host import resident_bytes
    from streams.model.priority_pool import Priority
    from streams.metrics import Metrics
    from streams.model.model import Model
    from streams.config.process import tune_process
    from visualsearch.encoders.images import decode_image

    async def run():
        encoder = SimpleNamespace(prepare=decode_image)
        model = Model(encoder, Metrics(CollectorRegistry()), threads=4)
        before = resident_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        await asyncio.gather(*(model.prepare(Priority.INDEX, data) for _ in range(6)))
        peak = next(int(line.split()[1]) * 1024
                    for line in Path("/proc/self/status").read_text().splitlines()
                    if line.startswith("VmHWM"))
        model.close()
        print(peak - before, resident_bytes() - before)

    tune_process()
    out = io.BytesIO()
    Image.new("RGB", (4_500, 4_500), (9, 9, 9)).save(out, "WEBP", method=0)
    data = out.getvalue()
    decode_image(data)  # libraries are loaded, and the heap has grown
    asyncio.run(run())
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/clear_refs")
def test_decodes_of_all_threads_stay_within_one_budget() -> None:
    """And what they took goes back."""
    done = subprocess.run(
        [sys.executable, "-c", DECODED_TOGETHER], capture_output=True, text=True, check=True
    )
    peak, left = map(int, done.stdout.split())
    assert peak < DECODE_MEMORY
    assert left < MOST_LEFT
