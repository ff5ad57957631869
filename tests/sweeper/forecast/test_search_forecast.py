"""What a search takes at most and about, and what is told of it before it starts."""

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from runners.contract.search import Search, read_search
from sweeper.cli import main
from sweeper.forecast.estimates import Estimate
from sweeper.forecast.search_forecast import largest_need, likely_epochs, rungs_of
from sweeper.forecast.search_plan import override_lines
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import PlannedJob

AP = "val/bbox_mAP_50"
RATE = {"low": 0.001, "high": 0.1, "log": True}
WORDS = [
    "search=sgd",
    "dataset=shapes",
    "dataset.shapes.n_train=8",
    "dataset.shapes.n_val=4",
    "dataset.shapes.n_test=30",
    "backbone=resnet18",
    "width=narrow",
    "weights=none",
    "image_size=96px",
    "gpus=none",
    "batch_size=4",
    "search.n_trials=20",
    "search.confirm=2",
]


def search_of(space: dict[str, Any] | None = None, **settings: Any) -> Search:
    return read_search({"space": space or {"optimizer.lr": RATE}, "objectives": [AP], **settings}, "toy.yaml")


def default_at(**point: str) -> PlannedJob:
    return PlannedJob("0001", "a_trial0", [], point, {}, PreparedDataset({}, {}, [], "", {}, {}, []))


@pytest.mark.parametrize(
    ("pruner", "rungs", "factor"),
    [
        ({"name": "successive_halving"}, (4, 12), 3),
        ({"name": "successive_halving", "min_resource": 2, "reduction_factor": 4}, (2, 8, 32), 4),
        ({"name": "hyperband"}, (4, 12), 3),
        ({"name": "median"}, (), 3),
        ({"name": "none"}, (), 3),
    ],
)
def test_the_rungs_are_those_at_which_trials_rest(pruner: dict[str, Any], rungs: tuple[int, ...], factor: int) -> None:
    assert rungs_of(search_of(pruner=pruner), 36) == (rungs, factor)


def test_one_in_three_goes_on_at_each_rung_and_at_least_one() -> None:
    assert sorted(likely_epochs(9, (1, 3), 3, 9)) == [1] * 6 + [3] * 2 + [9]
    assert sorted(likely_epochs(2, (1, 3), 3, 9)) == [1, 9]
    assert likely_epochs(0, (1, 3), 3, 9) == []
    assert likely_epochs(3, (), 3, 9) == [9, 9, 9]


class TestTheMostDemandingTrial:
    SPACE: Mapping[str, Any] = {"backbone": {"choices": ["small", "large"]}, "image_size": {"choices": ["256", "512"]}}
    POINTS = (("small", "256"), ("large", "256"), ("small", "512"))

    def need(self, *needs: tuple[float, float], default: float = 60.0) -> Estimate:
        samples = [default_at(backbone=backbone, image_size=size) for backbone, size in self.POINTS]
        estimates = [Estimate(seconds, memory_gb, "model", is_rough=True) for seconds, memory_gb in needs]
        return largest_need(search_of(self.SPACE), Estimate(default, 2.0, "model"), samples, estimates)

    def test_what_is_large_in_all_dimensions_multiplies(self) -> None:
        need = self.need((60.0, 2.0), (120.0, 3.0), (240.0, 8.0))
        assert (need.expected_s, need.memory_gb, need.is_rough) == (480.0, 12.0, True)

    def test_choices_that_save_something_take_nothing_off(self) -> None:
        assert self.need((60.0, 2.0), (30.0, 1.0), (240.0, 8.0)).expected_s == 240.0

    def test_a_default_outside_of_the_space_counts(self) -> None:
        assert self.need((60.0, 2.0), (60.0, 2.0), (60.0, 2.0), default=900.0).expected_s == 900.0

    def test_where_something_is_unknown_no_time_is_told(self) -> None:
        need = self.need((60.0, 2.0), (0.0, 0.0), (240.0, 8.0))
        assert (need.expected_s, need.memory_gb, need.source) == (0.0, 8.0, "unknown")


def test_what_makes_a_dimension_is_told_once_a_key() -> None:
    space = {
        "optimizer": {"choices": ["sgd", "adamw"]},
        "optimizer.lr": [
            {"when": {"optimizer": "sgd"}, **RATE},
            {"when": {"optimizer": "adamw"}, "low": 1e-5, "high": 1e-3, "log": True},
        ],
    }
    lines = override_lines(search_of(space), {"optimizer": "adamw", "optimizer.lr": "0.0001"})
    assert lines == [("optimizer=sgd,adamw", 1), ("'optimizer.lr=tag(log,interval(1e-05,0.001))'", 2)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The plan of a small search, for people and for programs."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plan"))
        for flags in ([], ["--json"]):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                assert main(["plan", *flags, *WORDS]) == 0
            told.append(out.getvalue())
    return told[0], json.loads(told[1])


class TestThePlan:
    def test_a_newcomer_reads_what_will_happen(self, shown: tuple[str, dict[str, Any]]) -> None:
        text = " ".join(shown[0].split())
        assert "search sgd: up to 20 trials, then up to 6 jobs that confirm the best" in text
        assert "optimizer.momentum 0.8 to 0.99 0.9" in text
        assert "goal val mAP50 of the last epoch, the higher the better" in text
        assert "after epochs 1, 3 and 9 of 12 by val mAP50 the best 1 in 3 of those that got there go on" in text
        assert "ends after 20 trials; failed trials end nothing" in text
        assert "the 2 best and the default are trained again with 2 fresh seeds each" in text
        assert "the 30 images of test" in text
        assert "every trial trained to its end" in text
        assert "a trial that rests at the first costs 1 of 12 epochs" in text
        assert "'optimizer.lr=tag(log,interval(0.002,0.2))'" in text

    def test_a_program_reads_the_same(self, shown: tuple[str, dict[str, Any]]) -> None:
        told = shown[1]
        assert told["n_jobs"] == 26
        assert [job["title"].rpartition("_")[2] for job in told["jobs"]] == ["trial0"]
        search = told["search"]
        assert search["rungs"] == [1, 3, 9]
        assert search["default"]["optimizer.lr"] == "0.02"
        assert [entry["override"] for entry in search["dimensions"]][1] == "'optimizer.momentum=interval(0.8,0.99)'"
        assert 0 < search["finish_s_if_rungs_hold"] < told["finish_s"]
        assert search["trial_s_at_least"] == pytest.approx(told["jobs"][0]["expected_s"] / 12)
        known = {"dimensions", "default", "n_epochs", "rungs", "finish_s_if_rungs_hold"}
        node = {key: value for key, value in search.items() if key not in known and not key.endswith(("most", "least"))}
        assert read_search(node, "json").n_trials == 20
