"""Verdicts, finished measurements on disk, and which are measured at all."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from streams.tools.bench import rivals, run
from streams.tools.bench.amounts import EVERY, RIVALS, Amounts, rows_of
from streams.tools.bench.context import Bench, Measurement
from streams.tools.bench.data import generate_dataset
from streams.tools.bench.measurements.under import GrowingTruth
from streams.tools.bench.store import Store
from streams.tools.bench.targets import TARGETS, Target, verdicts

BAR = Target("filters", "recall *", "≥", 0.98, 200_000)


def test_the_worst_of_several_figures_decides() -> None:
    """One filter below the bar is enough."""
    figures = {"filters": {"recall a": 0.99, "recall b": 0.97, "p50 a": 0.1}}
    (verdict,) = verdicts(figures, 200_000, [BAR])
    assert (verdict.figure, verdict.of, verdict.met) == ("recall b", 2, False)
    figures["filters"]["recall b"] = 0.98
    assert verdicts(figures, 200_000, [BAR])[0].met is True


def test_a_bar_is_about_its_size() -> None:
    """Elsewhere the figure is shown, without a verdict."""
    (verdict,) = verdicts({"filters": {"recall a": 0.5}}, 50_000, [BAR])
    assert verdict.met is None
    assert "200,000" in verdict.bar
    assert verdicts({}, 200_000, [BAR]) == []


def test_what_a_measurement_did_not_come_to_is_missed() -> None:
    """A merge that was not seen has no peak: that is no reason to say nothing."""
    (verdict,) = verdicts({"filters": {"p50 a": 1.0}}, 200_000, [BAR])
    assert (verdict.value, verdict.met) == (None, False)


@pytest.mark.parametrize(
    ("sign", "value", "met"),
    [("≤", 0.9, True), ("≤", 1.1, False), ("=", 1.0, True), ("=", 1.5, False), ("=", 0.5, False),
     ("≥", float("nan"), False), ("≤", float("nan"), False)],
)  # fmt: skip
def test_signs(sign: str, value: float, *, met: bool) -> None:
    """What is no number never meets a bar."""
    assert verdicts({"m": {"x": value}}, 50_000, [Target("m", "x", sign, 1.0)])[0].met is met


def test_every_bar_is_about_something_that_is_measured() -> None:
    """A measurement that is renamed would silently lose its targets."""
    assert {bar.measurement for bar in TARGETS} <= set(EVERY)


@pytest.mark.parametrize(("text", "rows"), [("50k", 50_000), ("1M", 1_000_000), ("7_000", 7_000)])
def test_sizes(text: str, rows: int) -> None:
    """Thousands, millions, plain numbers."""
    assert rows_of(text) == rows


@pytest.mark.parametrize("text", ["", "k", "many", "-5", "0"])
def test_what_is_no_size(text: str) -> None:
    """Refused."""
    with pytest.raises(ValueError):
        rows_of(text)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the measurements by such as only tell that they were called."""
    calls: list[str] = []

    def module(path: str) -> Any:
        name = path.rpartition(".")[2]

        def measurement(_: Bench) -> Measurement:
            calls.append(name)
            return Measurement([{"what": name}], {"figure": 1.0})

        return type("module", (), {name: staticmethod(measurement)})

    monkeypatch.setattr(run, "import_module", module)
    return calls


def bench() -> Bench:
    """Return a bench over very little."""
    return Bench(generate_dataset(2_000, 20, 16), Amounts.of(2_000))


def store(of: Bench, folder: Path | None) -> Store:
    """Return the store that the command would use."""
    return Store(folder, of.size, of.data.checksum, run.settings(of))


def test_a_finished_measurement_is_not_repeated(tmp_path: Path, counted: list[str]) -> None:
    """A second run measures what is missing alone; it says what is of the first."""
    first = bench()
    run.measure(first, ["build"], store(first, tmp_path))
    report = run.measure(first, ["build", "search"], store(first, tmp_path))
    assert counted == ["build", "search"]
    assert report["results"]["build"]["resumed"] is True
    assert report["results"]["search"]["resumed"] is False
    assert report["results"]["build"]["data"]["n"] == 2_000
    assert len(report["results"]["build"]["host"]["load_average"]) == 3


def test_other_settings_and_broken_files_are_measured_anew(
    tmp_path: Path, counted: list[str]
) -> None:
    """A result belongs to its data and amounts; half a file is none."""
    one = bench()
    run.measure(one, ["build"], store(one, tmp_path))
    other = Bench(one.data, dataclasses.replace(one.amounts, rounds=9))
    run.measure(other, ["build"], store(other, tmp_path))
    assert counted == ["build", "build"]
    path = store(one, tmp_path).path("build")
    assert path
    path.write_text('{"rows": [')
    run.measure(one, ["build"], store(one, tmp_path))
    assert counted == ["build"] * 3
    run.measure(one, ["build"], store(one, None))
    assert counted == ["build"] * 4


def test_only_what_is_asked_for_is_measured_in_a_fixed_order(counted: list[str]) -> None:
    """The order in which least is built twice, not the one of the command line."""
    begun: list[str] = []
    one = bench()
    run.measure(one, ["memory", "search"], store(one, None), begun.append)
    assert counted == begun == ["search", "memory"]


def test_recall_beside_inserts_counts_what_was_surely_there() -> None:
    """A row that came during the search may be in the answer or not; a row before it must."""
    import numpy as np

    growing = GrowingTruth(
        ids=np.array([[4, 7]]),
        scores=np.array([[0.9, 0.8]], dtype=np.float32),
        new=np.array([[0.95, 0.85, 0.99]], dtype=np.float32),
        first=10,
    )
    assert growing.recall(0, 1, np.array([10, 4]), 2) == 1.0
    assert growing.recall(0, 1, np.array([4, 7]), 2) == 0.5  # 10 was there before
    assert growing.recall(0, 1, np.array([12, 10]), 2) == 1.0  # 12 came during the search
    assert growing.recall(0, 0, np.array([4, 7]), 2) == 1.0


def test_every_rival_that_can_be_chosen_can_be_made() -> None:
    """The command names them without loading their libraries."""
    assert tuple(rivals.MAKERS) == RIVALS
