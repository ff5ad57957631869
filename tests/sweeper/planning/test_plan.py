"""A plan is made of jobs that are whole, named and told apart; what is wrong with any of them is told at once."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runners.contract.errors import UserError
from sweeper.planning.axes import Axes, read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan, make_plan
from sweeper.planning.resolvers import register
from tests.composition import CONF

SMALL = ("dataset=shapes", "dataset.shapes.n_train=20", "dataset.shapes.n_val=2", "dataset.shapes.n_test=2")
SETTINGS = {"job_limit": 500, "entry": "runners.job"}


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def axes_of(*overrides: str) -> Axes:
    return read_axes(OverridesParser.create().parse_overrides([*SMALL, "dataset.shapes.image_px=64", *overrides]))


def plan_of(composer: Composer, output_dir: Path, *overrides: str, **settings: Any) -> Plan:
    return make_plan(composer, axes_of(*overrides), {**SETTINGS, **settings}, output_dir)


def test_jobs_are_numbered_named_and_told_apart(composer: Composer, output_dir: Path) -> None:
    plan = plan_of(composer, output_dir, "seed=0,1", "optimizer=sgd,adamw")
    assert [job.job_id for job in plan.jobs] == ["0001", "0002", "0003", "0004"]
    assert len({job.title for job in plan.jobs}) == 4
    assert len({job.identity for job in plan.jobs}) == 4
    assert plan.count == "4 jobs"
    assert [(job.values["seed"], job.values["optimizer"]) for job in plan.jobs] == [
        (seed, optimizer) for seed in "01" for optimizer in ("sgd", "adamw")
    ]
    assert all(job.config["title"] == job.title for job in plan.jobs)
    assert {"gpus", "output_dir", "tracking", "hydra", "entry"}.isdisjoint(plan.jobs[0].config)


def test_a_job_is_the_same_training_in_a_longer_sweep(composer: Composer, output_dir: Path) -> None:
    short = plan_of(composer, output_dir, "seed=1")
    long = plan_of(composer, output_dir, "seed=0,1,2")
    assert short.jobs[0].identity == long.jobs[1].identity
    assert short.count == "1 job"


def test_another_module_that_trains_gives_another_identity(composer: Composer, output_dir: Path) -> None:
    ours = plan_of(composer, output_dir, "seed=1")
    quick = plan_of(composer, output_dir, "seed=1", entry="tests.quick_job")
    assert ours.jobs[0].identity != quick.jobs[0].identity


def test_more_jobs_than_the_limit_are_told_by_their_factors_before_any_is_composed(
    composer: Composer, output_dir: Path
) -> None:
    with pytest.raises(UserError, match=r"6 jobs \(3 seed x 2 batch_size\), limit 5; raise job_limit if that is meant"):
        plan_of(composer, output_dir, "seed=0,1,2", "batch_size=2,3", job_limit=5)


def test_what_is_wrong_with_any_job_is_told_together_and_once(composer: Composer, output_dir: Path) -> None:
    with pytest.raises(UserError) as told:
        plan_of(composer, output_dir, "seed=0,1", "batch_size=2,0,99")
    assert len(told.value.problems) == 2
    assert "batch_size" in told.value.problems[0]
    assert "99" in told.value.problems[1]
