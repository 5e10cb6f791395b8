"""One worker in a process of its own, whose death and cost a test can see."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.config.settings import Settings
from tests.support.fault.fleet import Fleet, Life, until


@contextmanager
def lone_worker(settings: Settings, folder: Path) -> Iterator[Life]:
    """Give a worker that is ready, with a stand-in for the model; it must live to the end."""
    environ = {
        "VISUALSEARCH_BOOTSTRAP": settings.bootstrap,
        "VISUALSEARCH_TOPIC_PREFIX": settings.topic_prefix,
        "VISUALSEARCH_DATA_DIR": str(folder / "data"),
        "VISUALSEARCH_HTTP_PORT": "0",
        "VISUALSEARCH_RETRY_DELAYS_S": "[0.2, 0.4]",
        "VISUALSEARCH_SNAPSHOT_AT_STOP": "false",
        "OMP_NUM_THREADS": "1",
    }
    with Fleet(folder / "workers", environ) as fleet:
        life = fleet.launch()
        until(lambda: life.ready or not life.alive, "the worker is ready")
        assert life.ready, life.tail()
        yield life
        assert life.alive, life.tail()
