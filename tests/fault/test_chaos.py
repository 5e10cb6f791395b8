"""Workers killed a hundred times, then fsck: nothing lost, doubled, resurrected or stale."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

from streams.order import OrderMode
from tests.fault.chaos import Chaos
from tests.fault.stage import staged

KILLS = int(os.environ.get("VISUALSEARCH_FAULT_KILLS", "100"))
MINUTES = float(os.environ.get("VISUALSEARCH_FAULT_MINUTES", "45"))
SEED = int(os.environ.get("VISUALSEARCH_FAULT_SEED") or random.SystemRandom().randrange(10**6))


def say(text: str) -> None:
    """Show progress at once."""
    print(text, flush=True)


@pytest.mark.timeout((MINUTES + 30) * 60)
@pytest.mark.parametrize("mode", ["timestamp"])
def test_nothing_is_lost_doubled_resurrected_or_stale(tmp_path: Path, mode: OrderMode) -> None:
    rng = random.Random(f"{SEED} {mode}")
    say(f"\nseed {SEED}, order {mode}, at least {KILLS} kills, at most {MINUTES:.0f} minutes")
    with staged(tmp_path, mode, rng) as stage:
        chaos = Chaos(stage, rng, say)
        chaos.run(KILLS, MINUTES * 60)
        stage.calm()
