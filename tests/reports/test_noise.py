"""Differences that equal runs show as well are muted, and only where equal runs are known."""

import math
from pathlib import Path

import pytest
import yaml
from scipy import stats

from reports.noise import mute_noise, seed_noise
from reports.read import read_runs
from reports.records import RunRecord
from reports.table import Tone
from reports.tables import study_table
from tests.reports.sweep_writing import WrittenJob, write_sweep


def runs_of(folder: Path, strengths: dict[str, list[float]]) -> tuple[RunRecord, ...]:
    jobs = [
        WrittenJob(strength, {"backbone": backbone}, {"seed": seed})
        for backbone, values in strengths.items()
        for seed, strength in enumerate(values)
    ]
    sweep = write_sweep(folder, jobs)
    content = yaml.safe_load(sweep.sweep.read_text())
    for job in content["jobs"]:
        job["recipe"] = job["overrides"][0]
    sweep.sweep.write_text(yaml.safe_dump(content))
    return read_runs(sweep).runs


def tones(runs: tuple[RunRecord, ...], column: int) -> list[Tone]:
    return [row.cells[column].tone for row in mute_noise(study_table(runs), runs).rows]


def test_what_noise_explains_is_muted_and_what_it_does_not_is_plain(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"resnet50": [0.60, 0.61, 0.62], "resnet101": [0.63, 0.64, 0.65], "resnet18": [0.3]})
    assert tones(runs, 3) == [Tone.BEST, Tone.MUTED, Tone.MUTED, Tone.MUTED, Tone.PLAIN, Tone.PLAIN, Tone.PLAIN]
    note = mute_noise(study_table(runs), runs).notes[-1]
    limit = stats.t.ppf(0.975, 4) * math.sqrt(2) * 1.0  # seeds are a point apart
    assert f"test mAP50 {limit:.1f} points" in note


def test_without_equal_runs_nothing_is_muted(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"resnet50": [0.60], "resnet101": [0.601]})
    table = study_table(runs)
    assert mute_noise(table, runs) is table


def test_the_noise_is_pooled_over_recipes() -> None:
    noise = seed_noise({"a": [1.0, 3.0], "b": [10.0, 10.0, 13.0], "c": [7.0]})
    assert noise is not None
    assert noise.df == 3
    assert noise.deviation == pytest.approx(math.sqrt((2.0 + 6.0) / 3))


@pytest.mark.parametrize("values", [{"a": [1.0, 2.0]}, {"a": [1.0, 1.0, 1.0]}, {}])
def test_two_runs_or_equal_numbers_say_nothing(values: dict[str, list[float]]) -> None:
    assert seed_noise(values) is None
