"""A further replicate of a job is the job that a longer command line would have composed."""

from pathlib import Path

import pytest

from sweeper.planning.compose import Composer
from sweeper.planning.replicates import replicate, replicates
from sweeper.planning.resolvers import register
from tests.composition import CONF
from tests.sweeper.planning.test_plan import plan_of


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


def test_it_is_what_the_longer_axis_composes(composer: Composer, tmp_path: Path) -> None:
    plan = plan_of(composer, tmp_path, "backbone=resnet18,resnet34", "seed=0,1")
    for first, second in zip(plan.jobs[::2], plan.jobs[1::2], strict=True):
        made = replicate(first, 1, "runners.job")
        for what in ("title", "values", "config", "identity", "recipe", "dataset"):
            assert getattr(made, what) == getattr(second, what), what
        assert sorted(made.overrides) == sorted(second.overrides)


def test_only_what_is_missing_is_made_in_the_order_of_the_places(composer: Composer, tmp_path: Path) -> None:
    plan = plan_of(composer, tmp_path, "backbone=resnet18,resnet34", "seed=0,2")
    places = [{"backbone": "resnet34"}, {"backbone": "resnet18"}, {"backbone": "resnet50"}]
    made = replicates(plan.jobs, places, range(4), "runners.job")
    assert [(job.values["backbone"], job.values["seed"]) for job in made] == [
        ("resnet34", "1"),
        ("resnet34", "3"),
        ("resnet18", "1"),
        ("resnet18", "3"),
    ]
    assert len({job.identity for job in made}) == 4
