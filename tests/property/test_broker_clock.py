"""The brokers' clock as measured: within the bounds of its tightest measurement, always."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from visualsearch.client.clock import KEPT, STAMP_S, BrokerClock

EPOCH_S = 1_800_000_000.0
ROUNDING_S = 1e-6  # of floats at the size of an epoch

latencies = st.floats(0.0, 3.0)
offsets = st.floats(-90_000.0, 90_000.0)
exchanges = st.lists(st.tuples(latencies, latencies), min_size=1, max_size=30)


@dataclass
class World:
    """A worker's two clocks and a broker's, moved by hand."""

    offset_s: float = 0.0  # of the broker against the worker's wall clock
    wall_s: float = EPOCH_S
    monotonic_s: float = 500.0
    widths: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the clock under test."""
        self.clock = BrokerClock(lambda: self.wall_s, lambda: self.monotonic_s)

    @property
    def broker_s(self) -> float:
        """The broker's time."""
        return self.wall_s + self.offset_s

    def wait(self, seconds: float) -> None:
        """Let time go by for everybody."""
        self.wall_s += seconds
        self.monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Set the worker's wall clock; the broker's stays as it is."""
        self.wall_s += seconds
        self.offset_s -= seconds

    def exchange(self, out_s: float, back_s: float) -> None:
        """Send a heartbeat and have it stamped, in whole milliseconds, and acknowledged."""
        sent_s = self.monotonic_s
        self.wait(out_s)
        stamp_s = int(self.broker_s * 1000) / 1000
        self.wait(back_s)
        self.clock.observe(sent_s, self.monotonic_s, stamp_s)
        self.widths.append(out_s + back_s + STAMP_S)

    @property
    def error_s(self) -> float:
        """How far the clock under test is from the broker's."""
        return abs(self.clock.now() - self.broker_s)


@given(offsets, exchanges)
def test_it_is_never_further_off_than_half_of_the_tightest_of_the_last_ten(
    offset_s: float, latency: list[tuple[float, float]]
) -> None:
    """Whatever the latencies and however unequal both ways are."""
    world = World(offset_s)
    for out_s, back_s in latency:
        world.exchange(out_s, back_s)
        world.wait(2.0)
        tightest_s = min(world.widths[-KEPT:])
        assert world.error_s <= tightest_s / 2 + ROUNDING_S
        assert abs(world.clock.offset_s - offset_s) <= tightest_s / 2 + ROUNDING_S


@given(exchanges, st.lists(offsets, min_size=1, max_size=5))
def test_a_step_of_the_workers_wall_clock_is_no_step_of_the_brokers(
    latency: list[tuple[float, float]], steps: list[float]
) -> None:
    """Not even before the next heartbeat; the offset that is exported follows at once."""
    world = World()
    for out_s, back_s in latency:
        world.exchange(out_s, back_s)
    bound_s = min(world.widths[-KEPT:]) / 2 + ROUNDING_S
    for step_s in steps:
        world.step(step_s)
        assert world.error_s <= bound_s
        assert abs(world.clock.offset_s - world.offset_s) <= bound_s


@given(exchanges, latencies, latencies, st.one_of(st.floats(20, 1e6), st.floats(-1e6, -20)))
def test_a_step_of_the_brokers_clock_is_followed_with_the_next_heartbeat(
    latency: list[tuple[float, float]], out_s: float, back_s: float, step_s: float
) -> None:
    """What was measured before contradicts it, and is forgotten."""
    world = World()
    for before in latency:
        world.exchange(*before)
    world.offset_s += step_s
    world.exchange(out_s, back_s)
    assert world.error_s <= world.widths[-1] / 2 + ROUNDING_S
    assert world.clock.measured == 1


@given(exchanges, st.floats(20, 1e6))
def test_after_a_sleep_of_the_machine_the_next_heartbeat_sets_it_right(
    latency: list[tuple[float, float]], slept_s: float
) -> None:
    """The monotonic clock of Linux stands still meanwhile."""
    world = World()
    for before in latency:
        world.exchange(*before)
    world.wall_s += slept_s
    world.exchange(0.001, 0.001)
    assert world.error_s <= world.widths[-1] / 2 + ROUNDING_S


def test_without_a_measurement_it_is_the_wall_clock() -> None:
    """A worker whose broker does not stamp searches as before."""
    world = World(offset_s=7.0)
    assert (world.clock.now(), world.clock.offset_s, world.clock.measured) == (EPOCH_S, 0.0, 0)
    world.step(-3600.0)
    assert world.clock.now() == EPOCH_S - 3600.0
