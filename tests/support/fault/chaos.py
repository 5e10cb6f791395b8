"""The disturbances: workers killed at random and at named points, frozen, doubled, misled.

Each scene disturbs, then the fleet is brought back to strength and must make progress: kills come
upon workers at work, not upon a group that never comes together.
"""

import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from tests.support.fault.fleet import Life, StuckError, until
from tests.support.fault.points import POINTS
from tests.support.fault.stage import Stage

WORKERS = 3
KILL, TERM = signal.SIGKILL, signal.SIGTERM
TRAPPED_S = 12.0  # then a worker that has not come by its point is killed where it is
CLOCK_STEPS_S = (-3600, -30, 0, 30, 3600)
RANDOM = "at random"


class Chaos:
    """One run of scenes; whatever is random in it comes from the seed.

    It must kill a worker at each of `points`; others it meets by chance.
    """

    def __init__(
        self, stage: Stage, rng: random.Random, say: Callable[[str], None], points: Sequence[str]
    ) -> None:
        self._stage = stage
        self._fleet = stage.fleet
        self._rng = rng
        self._say = say
        self._points = points
        self._deck: deque[tuple[str, signal.Signals]] = deque()
        self._counted: set[int] = set()
        self.kills: Counter[tuple[str, str]] = Counter()
        self.scenes: Counter[str] = Counter()
        self.unclean: list[str] = []  # ends by SIGTERM with another status than 0

    @property
    def total(self) -> int:
        """How many workers were killed so far."""
        return sum(self.kills.values())

    @property
    def slowest_stop_s(self) -> float:
        """The longest that a worker took to end after SIGTERM."""
        return self._fleet.slowest_stop_s

    @property
    def missed(self) -> list[str]:
        """The named points at which no worker was killed yet."""
        return [point for point in self._points if not self.kills[point, KILL.name]]

    def run(self, kills: int, seconds: float) -> None:
        """Disturb until so many are killed, or the time is up.

        A run long enough for it goes on until one at least was killed at every point of its own.
        """
        least = len(self._points) if kills >= len(self._points) else 0
        started = time.monotonic()
        self._stage.up_to_strength(WORKERS)
        self._stage.await_progress()
        while time.monotonic() - started < seconds and (
            self.total < kills or len(self._points) - len(self.missed) < least
        ):
            scene = self._scene()
            name = _name(scene)
            self.scenes[name] += 1
            before = self.total
            scene()
            self._recover()
            gaps = sum(len(life.gaps) for life in self._fleet.lives)
            self._say(
                f"{time.monotonic() - started:5.0f} s  {self.total:3} kills (+"
                f"{self.total - before})  {name:16} {len(self._points) - len(self.missed)}/"
                f"{len(self._points)} points, committed {self._stage.committed()}"
                + (f", {gaps} GAPS" if gaps else "")
            )

    def _scene(self) -> Callable[[], None]:
        seldom = (self._broker_dies, self._clocks_step, self._zombie, self._joins_and_leaves,
                  self._all_at_once, self._poison, self._blob_store_fails)  # fmt: skip
        if self._rng.random() < 0.35:
            return min(seldom, key=lambda each: (self.scenes[_name(each)], self._rng.random()))
        return self._at_points if self.missed or self._rng.random() < 0.6 else self._at_random

    # Scenes

    def _at_points(self) -> None:
        """Trap one or two workers."""
        victims = []
        for _ in range(self._rng.randint(1, 2)):
            point, sign = self._draw()
            step = POINTS[point]
            fresh = step.life == "start"
            victim = self._fleet.launch() if fresh else self._rng.choice(self._fleet.ready)
            if victim.condemned:
                self._deck.append((point, sign))
                continue
            victim.trap(point, self._rng.randint(1, step.passes), sign)
            victims.append((victim, (point, sign)))
            if step.life == "stop":
                victim.signal(TERM)
        self._stage.burst()
        give_up_at = time.monotonic() + TRAPPED_S
        for victim, card in victims:
            if not self._fleet.await_end(victim, max(give_up_at - time.monotonic(), 0.0)):
                victim.signal(KILL)
            self._count(victim)
            if victim.hit is None:
                self._deck.append(card)

    def _at_random(self) -> None:
        """Kill one, two or three at moments that are nobody's choice."""
        self._stage.burst()
        for _ in range(self._rng.randint(1, WORKERS)):
            time.sleep(self._rng.uniform(0, 2))  # the moment is what is random
            if ready := self._fleet.ready:
                self._kill(self._rng.choice(ready), self._rng.choice((KILL, KILL, TERM)))

    def _all_at_once(self) -> None:
        """Kill all."""
        self._stage.burst()
        time.sleep(self._rng.uniform(0, 1))
        for life in self._fleet.alive:
            life.signal(KILL)
        for life in self._fleet.lives:
            self._count(life)

    def _joins_and_leaves(self) -> None:
        """Take partitions away from workers in the middle of their batches, twice."""
        self._stage.burst()
        joined = self._fleet.launch()
        until(lambda: joined.ready or not joined.alive, f"{joined} is ready")
        self._stage.burst()
        self._kill(self._rng.choice([x for x in self._fleet.ready if x is not joined]), TERM)

    def _zombie(self) -> None:
        """Freeze one until another has its partitions, then let it go on as if nothing was."""
        self._stage.burst()
        zombie = self._rng.choice(self._fleet.ready)
        zombie.signal(signal.SIGSTOP)
        self._fleet.launch()
        time.sleep(self._stage.settings.session_timeout_s + self._rng.uniform(1, 3))
        self._stage.await_progress()
        self._stage.burst()
        zombie.signal(signal.SIGCONT)
        time.sleep(self._rng.uniform(0, 2))
        if self._rng.random() < 0.5:
            self._kill(zombie, KILL)

    def _clocks_step(self) -> None:
        """Set the clock of every worker to some other hour; most of them will be set again."""
        for life in self._fleet.ready:
            life.order(f"clock {self._rng.choice(CLOCK_STEPS_S)}")
        self._stage.burst()
        self._stage.await_progress()
        self._stage.await_searches()
        self._kill(self._rng.choice(self._fleet.ready), KILL)

    def _poison(self) -> None:
        """Publish what no decoder is asked about; one dies where it may just have met it."""
        self._stage.burst()
        self._stage.poison()
        time.sleep(self._rng.uniform(0, 1))
        self._kill(self._rng.choice(self._fleet.ready), KILL)
        self._stage.burst()
        self._stage.await_progress()

    def _broker_dies(self) -> None:
        """Kill the broker with everything under way, perhaps a worker too, and start it again."""
        self._stage.burst()
        time.sleep(self._rng.uniform(0, 1))
        self._stage.kill_broker()
        if self._rng.random() < 0.5:
            self._kill(self._rng.choice(self._fleet.ready), KILL)
        time.sleep(self._rng.uniform(0, 6))
        self._stage.start_broker()

    def _blob_store_fails(self) -> None:
        """Take the blob store away for seconds and kill a worker meanwhile."""
        self._stage.put_store(away=True)
        self._stage.burst()
        time.sleep(self._rng.uniform(1, 3))
        self._kill(self._rng.choice(self._fleet.ready), KILL)
        time.sleep(self._rng.uniform(0, 3))
        self._stage.put_store(away=False)

    # What they share

    def _draw(self) -> tuple[str, signal.Signals]:
        """Return the next point and signal: each point with SIGKILL, some with SIGTERM too."""
        if not self._deck:
            cards = [(point, KILL) for point in self.missed or POINTS]
            cards += [(point, TERM) for point in self._rng.sample(list(POINTS), len(POINTS) // 4)]
            self._rng.shuffle(cards)
            self._deck += cards
        return self._deck.popleft()

    def _kill(self, life: Life, sign: signal.Signals) -> None:
        if life.signal(sign):
            self._count(life)

    def _count(self, life: Life) -> None:
        """Wait for the end of a worker that is killed and count it, once."""
        if life.number in self._counted or not life.condemned:
            return
        self._fleet.await_stop(life)
        self._counted.add(life.number)
        sign = KILL if life.process.returncode == -KILL else TERM
        self.kills[life.hit or (RANDOM, sign.name)] += 1
        if sign == TERM and life.process.returncode != 0:
            self.unclean.append(f"{life}, {life.process.returncode}:\n{life.tail()}")

    def _recover(self) -> None:
        """Bring the fleet back to strength and see that it works."""
        self._stage.up_to_strength(WORKERS)
        extra = self._fleet.ready[: -(WORKERS + 1)]
        for life in extra:
            self._kill(life, TERM)
        self._stage.await_progress()
        if fallen := self._fleet.fallen:
            raise StuckError(f"nobody killed {fallen[0]}:\n{fallen[0].tail()}")


def _name(scene: Callable[[], None]) -> str:
    return scene.__name__.strip("_").replace("_", " ")
