"""Benchmarks of verdicts on real runs count what they say they count: here of quick jobs and made-up detectors."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import image_sets, verdict_image_noise, verdict_real_runs
from benchmarks.part_of_images import METRICS, of_images, values_under
from benchmarks.real_runs import Recipe, train_runs
from benchmarks.replicates import made_up
from benchmarks.simulated_detectors import Scenario, draw_arms, draw_world
from reports.judging.matches import match_run

QUICK = Recipe(
    "quick",
    (
        *("dataset=shapes", "dataset.shapes.n_train=4", "dataset.shapes.n_val=12", "dataset.shapes.n_test=1"),
        *("width=narrow", "weights=none", "backbone=resnet18", "image_size=96px", "batch_size=4", "n_epochs=1"),
        *("optimizer.lr=0.6", "entry=tests.detecting_job", "tracking=off"),
    ),
)


def test_a_part_of_the_images_is_what_matching_it_alone_gives() -> None:
    truth, detections = made_up(30, np.random.default_rng(5))
    chosen = np.array([1, 2, 5, 13, 29])
    ids = set((chosen + 1).tolist())
    part = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in ids],
        "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in ids],
    }
    alone = match_run(part, [entry for entry in detections if entry["image_id"] in ids])
    cut = of_images(match_run(truth, detections), chosen)
    for name, value in vars(alone).items():
        assert np.array_equal(value, getattr(cut, name)), name


def test_runs_are_trained_and_judged_as_one_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [verdict_real_runs.read_matches(job) for job in train_runs(QUICK, 4, tmp_path / "runs")]
    assert len({fingerprint for _, fingerprint in told}) == 1
    values = {round(float(values_under(run, np.ones((1, 12)))[0, 0]), 6) for run, _ in told}
    assert len(values) > 1, "seeds differ"
    rows = verdict_real_runs.measure([run for run, _ in told], told[0][1], [6, 12], n_splits=20)
    assert [(row["metric"], row["images"], row["seeds"]) for row in rows] == [
        (metric, n, 2) for n in (6, 12) for metric in METRICS
    ]
    verdict_real_runs.build_result(rows, 4, 20, {}).tell(tmp_path)
    assert "4 real runs of one recipe" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "verdict_real_runs.json").read_text(encoding="utf-8"))["rows"]) == 4


@pytest.mark.parametrize(("k", "coverage"), [(2, 0.977), (3, 0.965), (5, 0.956)])
def test_welch_holds_zero_as_often_as_is_known_of_normal_seeds(k: int, coverage: float) -> None:
    found = verdict_real_runs.normal_seeds(40, k, n_splits=300, n_pools=200)
    assert found.coverage == pytest.approx(coverage, abs=0.006)
    assert 0.005 < found.sd < 0.03


def test_images_add_to_the_noise_of_seeds_and_never_take_of_it() -> None:
    draw = np.random.default_rng(8)
    seeds = draw.normal(0.5, 0.02, (12, 1))
    same_noise = np.repeat(seeds, 101, axis=1) + draw.normal(0, 0.1, (1, 101)) * [0, *np.ones(100)]
    found = verdict_real_runs.judge_splits(same_noise, 3, 200, n_groups=50)
    assert found["coverage %"] == found["seeds alone: coverage %"], "what all runs share leaves the difference"
    own_noise = np.repeat(seeds, 101, axis=1) + draw.normal(0, 0.5, (12, 101)) * [0, *np.ones(100)]
    assert verdict_real_runs.judge_splits(own_noise, 3, 200, n_groups=50)["coverage %"] == 100


def test_sets_of_images_have_none_in_common() -> None:
    sets = image_sets.cut_sets(1000, 50)
    assert sets.shape == (20, 50)
    assert len(np.unique(sets)) == 1000
    assert len(image_sets.cut_sets(1000, 50, most=3)) == 3


def test_a_treatment_that_is_far_better_is_found_on_small_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = Scenario("better", (0.01, 0.01), quality=0.6)
    draw = np.random.default_rng(3)
    world = draw_world(better, 1000, draw)
    runs = image_sets.gather(*draw_arms(better, world, 4, draw), fingerprint="00" * 32)
    rows = verdict_image_noise.measure(runs, [100], n_draws=2, n_replicates=60)
    at_50 = {row["seeds"]: row for row in rows if row["metric"] == "mAP50"}
    assert list(at_50) == [2, 3]
    assert all(row["sets"] == 10 for row in rows)
    assert at_50[3]["power %"] > 50
    assert at_50[3]["one run each: right %"] > 90
    assert abs(at_50[3]["bias of few images, points"]) < at_50[3]["their noise, points"]
    assert at_50[3]["their noise, points"] == pytest.approx(at_50[3]["as told"], rel=0.5)
    assert at_50[2]["better %"] is not None
    assert at_50[3]["better %"] is None, "four runs hold no three against three others"
    result = verdict_image_noise.build_result(runs, rows, verdict_image_noise.truth_deviations(runs, 60))
    result.tell(tmp_path)
    assert "4 real runs of a recipe and 4 of a better one" in capsys.readouterr().out
    assert "The truth, on 1000 images: mAP50 +" in result.notes[0]


def test_a_verdict_is_held_against_the_truth_and_against_its_own_runs() -> None:
    draw = np.random.default_rng(11)
    scenario = Scenario("equal")
    runs = image_sets.gather(*draw_arms(scenario, draw_world(scenario, 200, draw), 2, draw), fingerprint="00" * 32)
    values = image_sets.values_on_sets(runs.matches[0], image_sets.cut_sets(200, 200), runs.fingerprint, 20)
    assert values[0, 0, 0] == pytest.approx(runs.truth[0, 0]), "a set of all images has the value of all"
    # Two sets on which the second run is ahead by 10 and by 14 points, whatever it is on all images.
    both = np.stack([np.repeat(values[0], 2, axis=0), values[0] + np.array([[0.1], [0.14]])])
    pairs = [(np.array([1]), np.array([0]))]
    judged, other = image_sets.judge_all(runs, both, 0, [200, 200], pairs, truth=0.1)
    assert (judged.strays_by, other.strays_by) == (pytest.approx(-0.02), pytest.approx(0.02))
    assert judged.bias == other.bias == pytest.approx(0.12 - (runs.truth[0, 1] - runs.truth[0, 0]))
    assert judged.half_width == pytest.approx(0.0, abs=1e-9), "the images' noise is the same in both"
