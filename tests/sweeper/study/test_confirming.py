"""Which trials are trained again when a search is over, with which seeds; and when no confirmation is possible."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord
from sweeper.planning.compose import Composer
from sweeper.planning.dataset import PreparedDataset, prepare_dataset
from sweeper.planning.plan import PlannedJob
from sweeper.planning.resolvers import register
from sweeper.planning.shapes import write_shapes
from sweeper.study.confirming import Confirming, confirm_problems, confirming_jobs, fresh_seeds
from tests.composition import CONF
from tests.contract.sample_set import SampleSet
from tests.sweeper.planning.test_plan import plan_of
from tests.sweeper.study.searches import AP, MEMORY, record_of, search_of

ENTRY = "runners.job"
SPACE = {"optimizer.lr": {"low": 0.001, "high": 1.0, "log": True}}
RATES = ("0.02", "0.03", "0.04", "0.05", "0.06")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PlannedJob]:
    """The default's job and four trials."""
    register()
    plan = plan_of(
        Composer.of_folder(CONF), tmp_path_factory.mktemp("plan"), f"optimizer.lr={','.join(RATES)}", "seed=7"
    )
    return {
        job.job_id: replace(job, trial=Trial(number, {"optimizer.lr": float(rate)}, "sampled" if number else "default"))
        for number, (job, rate) in enumerate(zip(plan.jobs, RATES, strict=True))
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_shapes(folder, n_train=4, n_val=40, n_test=20, image_px=64, n_classes=2)
    return folder


def search(**settings: Any) -> Search:
    return search_of(SPACE, **{"confirm": 2, "candidates": 2, **settings})


def records(aps: Sequence[float | None], **changes: Mapping[str, Any]) -> dict[str, TrialRecord]:
    """Return a record of each job; without an AP it has failed. Changes go by job id: ``job0002=dict(...)``."""
    found = {}
    for number, ap in enumerate(aps):
        state = JobState.FAILED if ap is None else JobState.COMPLETED
        record = record_of(number, {}, ap, state, "sampled" if number else "default")
        # Job ids begin at 1 and trials at 0.
        job_id = f"{number + 1:04d}"
        found[job_id] = replace(record, job_id=job_id, **changes.get(f"job{job_id}", {}))
    return found


def chosen(found: Confirming) -> list[tuple[str, str]]:
    return [(job.trial.of if job.trial else "", job.values["seed"]) for job in found.jobs]


def test_the_best_and_the_default_are_trained_with_seeds_that_chose_nothing(planned: dict[str, PlannedJob]) -> None:
    found = confirming_jobs(search(), planned, records([0.5, 0.6, 0.55, 0.7, 0.4]), ENTRY)
    arms = ("0001", "0004", "0002")
    assert chosen(found) == [(job_id, seed) for seed in ("8", "9") for job_id in arms]
    assert found.notices == ("confirmation of toy: trials 3, 1 and the default are trained with 2 fresh seeds each",)
    best = found.jobs[1]
    assert best.trial == Trial(3, {"optimizer.lr": 0.05}, "confirm", of="0004")
    assert (best.config["seed"], best.config["optimizer"]["lr"]) == (8, 0.05)
    # The recipe is that of the trial; the run is another.
    assert best.recipe == planned["0004"].recipe
    assert best.identity != planned["0004"].identity


def test_what_failed_broke_a_limit_or_is_not_ahead_of_the_default_is_no_candidate(
    planned: dict[str, PlannedJob],
) -> None:
    broken: dict[str, Mapping[str, Any]] = {"job0003": {"constraints": {MEMORY: 1.5}}}
    found = confirming_jobs(search(), planned, records([0.5, 0.5, 0.9, None, 0.6], **broken), ENTRY)
    assert chosen(found) == [("0001", "8"), ("0005", "8"), ("0001", "9"), ("0005", "9")]
    assert (
        found.notices[1] == "confirmation of toy: 2 candidates are wanted, and no more trials are ahead of the default"
    )


def test_where_none_is_ahead_nothing_is_trained_and_that_is_said(planned: dict[str, PlannedJob]) -> None:
    found = confirming_jobs(search(), planned, records([0.5, 0.5, 0.4, None, 0.1]), ENTRY)
    assert found.jobs == ()
    assert found.notices == ("confirmation of toy: no trial is ahead of the default: nothing is trained again",)


def test_beside_a_default_without_a_result_the_best_are_confirmed_all_the_same(planned: dict[str, PlannedJob]) -> None:
    found = confirming_jobs(search(), planned, records([None, 0.2, 0.1, None, None]), ENTRY)
    assert [job_id for job_id, _ in chosen(found)[:3]] == ["0001", "0002", "0003"]
    assert "the default has no result within the limits" in found.notices[-1]
    nothing = confirming_jobs(search(), planned, records([None] * 5), ENTRY)
    assert nothing.jobs == ()
    assert "no trial has a result within the limits" in nothing.notices[0]


def test_a_recipe_counts_once_and_the_defaults_own_is_no_candidate(planned: dict[str, PlannedJob]) -> None:
    same = {
        **planned,
        "0003": replace(planned["0003"], recipe=planned["0002"].recipe),
        "0005": replace(planned["0005"], recipe=planned["0001"].recipe),
    }
    found = confirming_jobs(search(candidates=3), same, records([0.5, 0.6, 0.8, 0.7, 0.9]), ENTRY)
    assert [job_id for job_id, _ in chosen(found)[:3]] == ["0001", "0003", "0004"]


def test_of_several_objectives_candidates_are_on_the_front(planned: dict[str, PlannedJob]) -> None:
    known = records([0.5, 0.6, 0.59, 0.55, 0.58])
    memory = {"0001": 5.0, "0002": 4.0, "0003": 4.5, "0004": 2.0, "0005": 3.0}
    known = {
        job_id: replace(record, values={**record.values, MEMORY: memory[job_id]}) for job_id, record in known.items()
    }
    found = confirming_jobs(search(objectives=[AP, MEMORY], candidates=3), planned, known, ENTRY)
    # The second best AP, 0.59, takes more memory than the best.
    assert [job_id for job_id, _ in chosen(found)[:4]] == ["0001", "0002", "0005", "0004"]


def test_a_loss_is_better_when_it_is_lower(planned: dict[str, PlannedJob]) -> None:
    known = {
        job_id: replace(record, values={"val/loss": record.values[AP]})
        for job_id, record in records([0.5, 0.6, 0.4, 0.7, 0.3]).items()
    }
    found = confirming_jobs(search(objectives=["val/loss"]), planned, known, ENTRY)
    assert [job_id for job_id, _ in chosen(found)[:3]] == ["0001", "0005", "0003"]


def test_a_confirmation_that_was_broken_off_is_completed_and_none_without_being_asked_for(
    planned: dict[str, PlannedJob],
) -> None:
    known = records([0.5, 0.6, 0.55, 0.7, 0.4])
    whole = confirming_jobs(search(), planned, known, ENTRY)
    begun = {**planned, **{f"{number:04d}": job for number, job in enumerate(whole.jobs[:4], start=6)}}
    rest = confirming_jobs(search(), begun, known, ENTRY)
    assert [job.identity for job in rest.jobs] == [job.identity for job in whole.jobs[4:]]
    assert confirming_jobs(search(confirm=0), planned, known, ENTRY) == Confirming((), ())


def test_fresh_seeds_are_behind_all_that_were_used() -> None:
    assert fresh_seeds([3, 0, 5], 3) == [6, 7, 8]
    assert fresh_seeds([2**32 - 2], 3) == [2**32 - 1, 0, 1]
    assert fresh_seeds([2**32 - 1, 0], 2) == [1, 2]


class TestImagesToJudgeOn:
    def prepare(self, root: Path, tmp_path: Path, fold: int | None = None, **changes: Any) -> PreparedDataset:
        return prepare_dataset({**SampleSet(root).node, **changes}, tmp_path / "out", fold)

    def test_a_labelled_test_split_or_a_part_of_val_will_do(self, root: Path, tmp_path: Path) -> None:
        assert confirm_problems(search(), self.prepare(root, tmp_path)) == []
        assert confirm_problems(search(), self.prepare(root, tmp_path, test=None, hold_back=0.4)) == []

    def test_without_either_it_is_refused_with_the_setting_that_helps(self, root: Path, tmp_path: Path) -> None:
        dataset = self.prepare(root, tmp_path, test=None)
        (problem,) = confirm_problems(search(), dataset)
        assert problem.startswith("no labelled test split in search.confirm: 2 needs images that the search never sees")
        assert problem.endswith("hold a part of val back with dataset.hold_back=0.4")
        assert confirm_problems(search(confirm=0), dataset) == []
        folds = self.prepare(root, tmp_path, 0, test=None, val=None, n_folds=2)
        (problem,) = confirm_problems(search(), folds)
        assert "hold_back" not in problem

    def test_a_test_split_that_no_verdict_can_stand_on_is_refused(self, root: Path, tmp_path: Path) -> None:
        content = SampleSet(root).read("test")
        content["images"] = content["images"][:5]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [box for box in content["annotations"] if box["image_id"] in kept]
        (tmp_path / "few.json").write_text(json.dumps(content), encoding="utf-8")
        few = self.prepare(root, tmp_path, test={"ann_file": str(tmp_path / "few.json"), "image_dir": "images/"})
        (problem,) = confirm_problems(search(), few)
        assert "objects in 5 images, and 20 in 12 are needed" in problem

    @pytest.mark.parametrize("first", ["val/loss", "train/loss", "cost/wall_s"])
    def test_what_is_not_measured_on_images_cannot_be_confirmed_on_them(
        self, root: Path, tmp_path: Path, first: str
    ) -> None:
        (problem,) = confirm_problems(search(objectives=[first, AP]), self.prepare(root, tmp_path))
        assert problem.startswith("nothing to judge on unseen images in search.confirm: 2")
