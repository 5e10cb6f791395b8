"""Workers killed a hundred times, then fsck: nothing lost, doubled, resurrected or stale."""

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from streams.order import OrderMode
from tests.fault.chaos import RANDOM, Chaos
from tests.fault.planted import plant
from tests.fault.points import POINTS
from tests.fault.stage import Stage, staged
from tests.fault.verdict import (
    compacted,
    differing,
    disagreements,
    fsck,
    letters_astray,
    served,
    settle,
)

KILLS = int(os.environ.get("VISUALSEARCH_FAULT_KILLS", "100"))
MINUTES = float(os.environ.get("VISUALSEARCH_FAULT_MINUTES", "45"))
SEED = int(os.environ.get("VISUALSEARCH_FAULT_SEED") or random.SystemRandom().randrange(10**6))
LEAST = 60  # kills below which a run proves nothing, however long it took


def say(text: str = "") -> None:
    """Show progress at once."""
    print(text, flush=True)


@pytest.mark.timeout((MINUTES + 30) * 60)
@pytest.mark.parametrize("mode", ["timestamp", "explicit"])
def test_nothing_is_lost_doubled_resurrected_or_stale(tmp_path: Path, mode: OrderMode) -> None:
    """Kills at every point, then each worker, old or new, serves what the events say; no more."""
    rng = random.Random(f"{SEED} {mode}")
    kills, minutes = KILLS // 2, MINUTES / 2  # of the two modes
    say(f"\nseed {SEED}, order {mode}: {kills} kills or {minutes:.0f} minutes; {tmp_path}")
    started = time.monotonic()
    with staged(tmp_path, mode, rng) as stage:
        chaos = Chaos(stage, rng, say)
        chaos.run(kills, minutes * 60)
        stage.calm()
        say_kills(chaos, time.monotonic() - started)
        judge(stage)
        assert chaos.unclean == [], "SIGTERM did not end these in order"
        assert not chaos.missed, "no worker was killed at these points"
        assert chaos.total >= min(kills, LEAST // 2)
        assert_damage_is_found(stage)


def judge(stage: Stage) -> None:
    """Compare everything with everything, once all is quiet; a fresh worker among them."""
    survivors = stage.survivors()
    stage.up_to_strength(len(survivors) + 1)
    workers = stage.survivors()
    settle(stage, workers)
    reports = [fsck(stage, life) for life in workers]
    for life, report in zip(workers, reports, strict=True):
        say_verdict(str(life), report)
    for report in reports:
        assert report["status"] == 0, report
        assert sum(report["counts"].values()) == 0, report
        assert report["expected"] == report["served"] > 0
        assert report["pictures_compared"] > 0
    assert disagreements(workers) == []
    assert differing(compacted(stage), served(workers[0])) == [], "not what compaction would leave"
    surplus, missing = letters_astray(stage)
    assert surplus == [], "dead letters of what was fine"
    assert missing == [], "no dead letter of what was not"
    assert [life.tail() for life in stage.fleet.fallen] == []


def assert_damage_is_found(stage: Stage) -> None:
    """Show that the verdict of above was no blind one."""
    (life, *_) = stage.survivors()
    planted = plant(stage, served(life))
    report = fsck(stage, life)
    say_verdict("with planted damage", report)
    found = {name: [x["product_id"] for x in each] for name, each in report["examples"].items()}
    assert report["status"] == 1
    assert found.keys() == {"lost", "resurrected", "wrong_vectors"}
    assert found["lost"] == [planted.lost]
    assert found["resurrected"] == [planted.resurrected]
    assert set(found["wrong_vectors"]) == {planted.stale_vector}


def say_kills(chaos: Chaos, seconds: float) -> None:
    """Print the kills by point and signal."""
    say(f"\n{'killed':32}{'SIGKILL':>9}{'SIGTERM':>9}")
    for point in (RANDOM, *POINTS):
        counts = (chaos.kills[point, sign] for sign in ("SIGKILL", "SIGTERM"))
        say(f"{point:32}" + "".join(f"{count:9}" for count in counts))
    scenes = ", ".join(f"{name} {count}" for name, count in sorted(chaos.scenes.items()))
    say(f"{chaos.total} kills in {seconds:.0f} s; scenes: {scenes}")
    say(f"slowest SIGTERM {chaos.slowest_stop_s:.1f} s")


def say_verdict(who: str, report: dict[str, Any]) -> None:
    """Print what fsck found, in a line."""
    counts = ", ".join(f"{count} {name}" for name, count in report["counts"].items())
    say(f"fsck, {who}: {report['verdict']}; {report['events']} events, {report['served']} products,"
        f" {report['pictures_compared']} vectors; {counts}")  # fmt: skip
