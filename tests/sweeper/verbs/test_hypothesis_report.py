"""``detsweep report hypothesis=NAME``: judged by runs of any sweeps, and told what is missing; nothing is trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.driver import Driver
from tests.quick_job import Play

ENTRY = "entry=tests.detecting_job"
DATA = (
    *("dataset.shapes.n_train=8", "dataset.shapes.n_val=40", "dataset.shapes.n_test=4", "dataset.shapes.image_px=96"),
    *("image_size=96px", "batch_size=4", "n_epochs=3", "tracking=off", ENTRY),
)
CLAIM = ("hypothesis.axis=optimizer.lr", "hypothesis.arms=[0.3,0.8]")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Two sweeps without a hypothesis: one for each arm, three seeds and two."""
    driver = Driver(tmp_path_factory.mktemp("trained"))
    words = ("dataset=shapes", "backbone=resnet18", "width=narrow", "weights=none", "schedule=4e", "gpus=none", *DATA)
    for arm, seeds in (("0.3", "0,1,2"), ("0.8", "0,1")):
        command = driver.begin(
            "train", *words, f"optimizer.lr={arm}", f"seed={seeds}", play=Play(n_iterations=1, iteration_s=0.0)
        )
        assert command.wait() == 0, command.said
    yield driver
    driver.close()


def test_arms_that_other_sweeps_trained_are_judged_and_what_is_missing_is_named(trained: Driver) -> None:
    words = ("hypothesis=narrow_pafpn", *CLAIM, *DATA)
    report = trained.run("report", *words)
    assert report.process.returncode == 0, report.said
    assert "undecided, leans to better" in report.said
    assert "not finished: 0.8: seed 2" in report.said
    assert "next: detsweep train hypothesis=narrow_pafpn" in report.said
    assert (trained.folder / "outputs" / "reports" / "hypothesis-narrow_pafpn" / "index.html").is_file()
    # The command that it names trains only that one, and then the claim is decided.
    trained_now = trained.run("train", *words, "gpus=none", play=Play(n_iterations=1, iteration_s=0.0))
    assert trained_now.process.returncode == 0, trained_now.said
    assert "5 jobs of 6 trained by earlier sweeps" in trained_now.said
    again = trained.run("report", *words)
    assert "better" in again.said
    assert "not finished" not in again.said


def test_several_are_one_family_and_one_without_a_run_is_told(trained: Driver) -> None:
    report = trained.run("report", "hypothesis=narrow_optimizer,narrow_pafpn", *DATA)
    assert report.process.returncode == 0, report.said
    assert report.said.count("no finished run of") >= 2
    assert "next: detsweep train hypothesis=narrow_pafpn" in report.said
    assert (trained.folder / "outputs" / "reports" / "hypothesis-narrow_optimizer-narrow_pafpn").is_dir()


def test_a_sweep_beside_a_hypothesis_and_an_unknown_one_are_refused(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    beside = driver.run("report", "newest", "hypothesis=narrow_pafpn")
    assert beside.process.returncode == 2
    assert "newest beside a hypothesis" in beside.said
    unknown = driver.run("report", "hypothesis=narrow_pafpm")
    assert unknown.process.returncode == 2
    assert "narrow_pafpm" in unknown.said
    assert "Traceback" not in unknown.said
