"""What a process is told of its memory: what is free goes back to the system."""

import subprocess
import sys
import textwrap

import pytest

from streams.bench.host import resident_bytes

MOST_LEFT = 10_000_000

# In a process of its own: what `tune` sets is for all of its life.
TAKEN_BY_A_THREAD = textwrap.dedent(
    """
    from threading import Thread

    from streams.bench.host import resident_bytes
    from streams.process import give_back, tune

    def take():
        taken = [bytes(2_000) for _ in range(25_000)]
        del taken

    tune()
    before = resident_bytes()
    threads = [Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    give_back()
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
