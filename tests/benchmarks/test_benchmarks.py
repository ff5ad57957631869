"""Every benchmark comes to its end and says what it measured; how long anything takes is no affair of tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import idle_devices, scale
from benchmarks.__main__ import BENCHMARKS
from benchmarks.idle_trace import TRACE, TracedJob, make_trace, read_trace
from benchmarks.results import Result
from benchmarks.turn_around import FRESH, JOBLIB_NEXT, SUBMITIT, WARM, Turn, build_result

ROOT = Path(__file__).parents[2]


def told(result: Result, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what the file says, and make sure that the terminal says something too."""
    result.tell(folder)
    assert result.title.split(" (")[0] in capsys.readouterr().out
    content: dict[str, Any] = json.loads((folder / f"{result.name}.json").read_text(encoding="utf-8"))
    assert content["machine"]["cores"] >= 1
    return content


def test_idle_devices_runs_every_order_on_every_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = [TracedJob("a", 1.0, 2.0), TracedJob("b", 2.0, 1.0), TracedJob("c", 3.0, 3.0)]
    content = told(idle_devices.measure([1, 2], trace, 0.05), tmp_path, capsys)
    orders = [idle_devices.EXACT, idle_devices.NOISY, idle_devices.IN_ORDER, idle_devices.BATCHES]
    assert [(row["slots"], row["order"]) for row in content["rows"]] == [(n, order) for n in (1, 2) for order in orders]
    assert all(row["makespan / bound"] >= 1.0 for row in content["rows"])


def test_makespans_that_an_order_alone_would_take() -> None:
    actual = {"a": 1.0, "b": 1.0, "c": 2.0, "d": 4.0}
    assert idle_devices.refilled_s(actual, {}, 2) == 5.0
    assert idle_devices.refilled_s(actual, actual, 2) == 4.0
    assert idle_devices.in_batches_s(actual, 2) == 5.0


def test_scale_measures_a_sweep_and_its_resumption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = told(scale.measure([2, 3]), tmp_path, capsys)
    assert [row["jobs"] for row in content["rows"]] == [2, 3]
    assert all(value > 0 for row in content["rows"] for value in row.values())
    assert set(content["details"]["3"]["train"]["wall_s"]) >= {"plan", "write", "run", "report", "wait"}
    assert set(content["details"]["3"]["resume"]["reached_s"]) >= {"read_stored", "read_left", "compare", "wait"}


def test_turn_around_tells_medians_and_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ways = {WARM: (0.2, 0.4, 0.3), FRESH: (9.0, 8.0, 7.0), JOBLIB_NEXT: (0.6, 0.9, 0.5), SUBMITIT: (9.0, 9.0, 12.0)}
    turns = {way: [Turn(seconds, seconds + 0.1, 0.1) for seconds in measured] for way, measured in ways.items()}
    content = told(build_result(turns), tmp_path, capsys)
    assert [row["overhead s"] for row in content["rows"]] == [0.3, 8.0, 0.6, 9.0]
    assert [round(row["overhead / ours"]) for row in content["rows"]] == [1, 27, 2, 30]
    assert list(content["aims"].values()) == [True]
    without_launchers = build_result({way: turns[way] for way in (WARM, FRESH)})
    assert any("not installed" in note for note in without_launchers.notes)


def test_the_trace_is_what_its_script_makes() -> None:
    assert read_trace(TRACE) == list(make_trace())
    assert len(read_trace()) == 60


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_explains_itself(name: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.returncode == 0
    assert f"python -m benchmarks.{name}" in shown.stdout


def test_an_unknown_one_is_refused_with_the_names() -> None:
    shown = subprocess.run([sys.executable, "-m", "benchmarks", "sped"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 2
    assert all(name in shown.stderr for name in ("sped", *BENCHMARKS))
