"""What the benchmarks of verdicts say is what they measured; how long anything takes is no affair of tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import replicates, verdict_calibration
from benchmarks.simulated_detectors import Scenario, draw_arms, draw_world, values_of
from benchmarks.verdict_calibration import N_SEEDS, SCENARIOS, build_result, measure


def test_replicates_are_those_of_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timed = replicates.measure(n_images=30, n_replicates=130, n_rounds=2)
    assert timed.difference < replicates.TOLERANCE
    result = replicates.build_result(timed, 30, 130)
    result.tell(tmp_path)
    assert "pycocotools in a loop" in capsys.readouterr().out
    content = json.loads((tmp_path / "replicates.json").read_text(encoding="utf-8"))
    assert content["rows"][1]["replicates s"] == pytest.approx(np.median(timed.accumulate_s) * 130)


def test_a_simulated_treatment_is_as_good_as_it_is_told_to_be() -> None:
    draw = np.random.default_rng(3)
    better = Scenario("better", quality=0.5)
    world = draw_world(better, 400, draw)
    base, treated = (values_of(arm, np.ones((1, 400))).mean() for arm in draw_arms(better, world, 2, draw))
    assert treated - base > 0.1
    again = np.random.default_rng(3)
    repeated = draw_world(better, 400, again)
    assert np.array_equal(repeated.ease, world.ease)


def test_one_recipe_twice_differs_in_noise_alone() -> None:
    draw = np.random.default_rng(4)
    twice = Scenario("twice", same_arm=True)
    world = draw_world(twice, 3000, draw)
    base, treated = (values_of(arm, np.ones((1, 3000))).mean() for arm in draw_arms(twice, world, 2, draw))
    assert abs(treated - base) < 0.02


def test_cases_are_judged_with_and_without_lenders() -> None:
    (outcome,) = measure(SCENARIOS[1], 50, 1, truth=0.0)
    assert len(outcome.holds) == len(outcome.half_width) == len(N_SEEDS)
    assert all(width > 0 for width in outcome.half_width)
    wrong_by_far = next(iter(measure(SCENARIOS[1], 50, 1, truth=10.0)))
    assert not any(wrong_by_far.holds)
    assert verdict_calibration.hash_seed("a", 50, 1) != verdict_calibration.hash_seed("a", 50, 2)


def test_the_summary_weighs_cases_and_misses_aims_that_are_missed() -> None:
    def row(scenario: Scenario, n_images: int, k: int, cases: int, coverage: float) -> dict[str, Any]:
        shares = ("better %", "coverage, borrowed %", "better, borrowed %", "better, in looks %", "one run each %")
        told = {"scenario": scenario.name, "cases": cases, "images": n_images, "seeds": k, "coverage %": coverage}
        return {**told, "half width, points": 3.0, **dict.fromkeys(shares, 2.0)}

    def rows(at_large: float) -> list[dict[str, Any]]:
        sizes = ((50, 30, 96.0), (1000, 10, at_large))
        return [
            row(scenario, n, k, cases, coverage)
            for scenario in SCENARIOS
            for k in N_SEEDS
            for n, cases, coverage in sizes
        ]

    sound = build_result(rows(96.0), 30, 0.03)
    assert list((sound.aims or {}).values()) == [True, True]
    off = build_result(rows(80.0), 30, 0.03)
    assert off.rows[1]["coverage %"] == pytest.approx((3 * 96.0 + 80.0) / 4)
    assert list((off.aims or {}).values()) == [False, True]
