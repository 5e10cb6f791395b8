"""Workers killed a hundred times, then fsck: nothing lost, doubled, resurrected or stale."""

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from streams.ingest.order import OrderMode
from tests.support.fault.chaos import RANDOM, Chaos
from tests.support.fault.fleet import Life
from tests.support.fault.planted import plant
from tests.support.fault.points import POINTS
from tests.support.fault.stage import Stage, staged
from tests.support.fault.verdict import (
    compacted,
    differing,
    disagreements,
    fsck,
    letters_astray,
    served,
    settle,
    unstored,
)

KILLS = int(os.environ.get("VISUALSEARCH_FAULT_KILLS", "100"))
MINUTES = float(os.environ.get("VISUALSEARCH_FAULT_MINUTES", "45"))
SEED = int(os.environ.get("VISUALSEARCH_FAULT_SEED") or random.SystemRandom().randrange(10**6))
MODES: tuple[OrderMode, OrderMode] = ("timestamp", "explicit")
LEAST = 60  # kills below which a run proves nothing, however long it took


def say(text: str = "") -> None:
    """Show progress at once."""
    print(text, flush=True)


@pytest.mark.timeout((MINUTES + 30) * 60)
@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_lost_doubled_resurrected_or_stale(tmp_path: Path, mode: OrderMode) -> None:
    """Kills at every point, then each worker, old or new, serves what the events say; no more."""
    rng = random.Random(f"{SEED} {mode}")
    kills, minutes = KILLS // 2, MINUTES / 2  # of the two modes
    points = tuple(POINTS)[MODES.index(mode) :: 2]  # half of them each: the steps are the same
    say(f"\nseed {SEED}, order {mode}: {kills} kills or {minutes:.0f} minutes; {tmp_path}")
    started = time.monotonic()
    with staged(tmp_path, mode, rng) as stage:
        chaos = Chaos(stage, rng, say, points)
        chaos.run(kills, minutes * 60)
        stage.calm()
        say_kills(chaos, time.monotonic() - started)
        found = judge(stage)
        assert found == [], "\n".join(found)
        assert chaos.unclean == [], "SIGTERM did not end these in order"
        assert kills < len(points) or chaos.missed == [], "no worker was killed at these points"
        assert chaos.total >= min(kills, LEAST // 2)
        assert_damage_is_found(stage)


def judge(stage: Stage) -> list[str]:
    """Compare all with all once it is quiet, a fresh worker among them; return what is wrong."""
    stage.up_to_strength(len(stage.survivors()) + 1)
    workers = stage.survivors()
    settle(stage, workers)
    wrong = [line for life in workers for line in verdict_on(stage, life)]
    wrong += disagreements(workers)
    if names := differing(compacted(stage), served(workers[0])):
        wrong.append(f"compaction would leave something else of {names}")
    if names := unstored(stage, served(workers[0])):
        wrong.append(f"the blob store lacks an image of {names}")
    surplus, missing = letters_astray(stage)
    wrong += [f"a dead letter of what was fine: {each}" for each in surplus]
    wrong += [f"no dead letter of what was not: {each}" for each in missing]
    wrong += [
        f"{life} passed over events: {gap}" for life in stage.fleet.lives for gap in life.gaps
    ]
    return wrong + [f"nobody killed {life}: {life.tail()}" for life in stage.fleet.fallen]


def verdict_on(stage: Stage, life: Life) -> list[str]:
    """Check a worker with fsck; return what is wrong."""
    report = fsck(stage, life)
    say_verdict(str(life), report)
    assert report["expected"] > 0
    assert report["pictures_compared"] > 0
    clean = report["status"] == 0 and not any(report["counts"].values())
    same = report["expected"] == report["served"]
    return [] if clean and same else [f"fsck, {life}: {report}"]


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
